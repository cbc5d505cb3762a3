#include "operator/fetch/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <vector>

#include "operator/core/text.h"
#include "operator/fetch/fetch.h"
#include "operator/fetch/folder.h"
#include "operator/fetch/sha256.h"

// libarchive's writers call this for an entry of a kind that they cannot write, which none of ours is. Defined here, the static
// library's own one stays out, which shares its object file with a table of all formats, and those need libxml2, ICU, nettle
// and four packers more.
extern "C" void __archive_write_entry_filetype_unsupported(archive* a, archive_entry*,
                                                           const char* format) {  // NOLINT: its name is theirs
  archive_set_error(a, -1, "not a kind of entry for %s", format);
}

namespace mo {
namespace {

namespace fs = std::filesystem;

struct Free {
  void operator()(archive* a) const { archive_write_free(a); }
  void operator()(archive_entry* e) const { archive_entry_free(e); }
};

tl::unexpected<Error> bad(const std::string& why) { return fail(ErrorKind::Invalid, why); }
tl::unexpected<Error> failed(const char* doing, const fs::path& path, int error = errno) {
  return bad(std::string("cannot ") + doing + " " + path.string() + ": " + std::strerror(error));
}

// Path below the folder -> size, nothing for a folder; sorted by bytes.
using Tree = std::map<std::string, std::optional<uint64_t>>;

Result<Tree> walk(const fs::path& folder, const fs::path& leave_out) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return bad(folder.string() + " is not a folder");
  Tree out;
  for (auto it = fs::recursive_directory_iterator(folder, error); !error && it != fs::end(it); it.increment(error)) {
    const std::string path = it->path().lexically_relative(folder).string();
    std::error_code ignored;
    if (fs::equivalent(it->path(), leave_out, ignored))
      return bad("the archive would contain itself; write it elsewhere with --output");
    if (const std::string problem = fetch::path_problem(path); !problem.empty()) return bad(problem);
    const fs::file_status status = it->symlink_status(error);
    if (error) break;
    if (fs::is_symlink(status))
      return bad(it->path().string() +
                 " is a symbolic link; artifacts contain only files and folders; copy the folder with cp -rL and pack the copy");
    if (!fs::is_directory(status) && !fs::is_regular_file(status))
      return bad(it->path().string() + " is neither a file nor a folder");
    if (out.size() == fetch::kMostEntries)
      return bad(folder.string() + " has more than " + std::to_string(fetch::kMostEntries) + " files and folders");
    out.emplace(path, fs::is_directory(status) ? std::nullopt : std::optional(it->file_size(error)));
    if (error) break;
  }
  if (error) return bad("cannot read " + folder.string() + ": " + error.message());
  return out;
}

// Writes, hashes and counts.
class Sink {
 public:
  explicit Sink(const fs::path& path)
      : path_(path), file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {}
  ~Sink() {
    if (file_ >= 0) ::close(file_);
    if (!kept_) ::unlink(path_.c_str());
  }
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  bool open() const { return file_ >= 0; }
  la_ssize_t write(const void* bytes, size_t size) {
    const ssize_t written = ::write(file_, bytes, size);
    if (written <= 0) return -1;
    hash_.add({static_cast<const char*>(bytes), static_cast<size_t>(written)});
    size_ += static_cast<uint64_t>(written);
    return written;
  }
  bool keep_as(const fs::path& path) {
    kept_ = ::fsync(file_) == 0 && ::rename(path_.c_str(), path.c_str()) == 0;
    return kept_;
  }
  uint64_t size() const { return size_; }
  std::string digest() { return hash_.finish(); }

 private:
  const fs::path path_;
  const int file_;
  bool kept_ = false;
  uint64_t size_ = 0;
  fetch::Sha256 hash_;
};

la_ssize_t write_to(archive* a, void* sink, const void* bytes, size_t size) {
  const la_ssize_t written = static_cast<Sink*>(sink)->write(bytes, size);
  if (written < 0) archive_set_error(a, errno, "%s", std::strerror(errno));
  return written;
}

Result<void> copy(archive* out, const fs::path& path, uint64_t size) {
  const int file = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (file < 0) return failed("read", path);
  std::vector<char> buffer(1u << 20);
  uint64_t left = size;
  ssize_t got = 0;
  la_ssize_t written = 0;
  while (left > 0 && (got = ::read(file, buffer.data(), std::min<uint64_t>(buffer.size(), left))) > 0 && written >= 0) {
    written = archive_write_data(out, buffer.data(), static_cast<size_t>(got));
    left -= static_cast<uint64_t>(got);
  }
  const int error = errno;
  ::close(file);
  if (got < 0) return failed("read", path, error);
  if (written < 0) return bad(std::string("cannot write the archive: ") + archive_error_string(out));
  return left == 0 ? Result<void>{} : bad(path.string() + " changed while it was packed");
}

Result<void> add(archive* out, const fs::path& folder, const std::string& path, const std::optional<uint64_t>& size) {
  const std::unique_ptr<archive_entry, Free> entry(archive_entry_new());
  archive_entry_copy_pathname(entry.get(), (size ? path : path + "/").c_str());
  archive_entry_set_filetype(entry.get(), size ? AE_IFREG : AE_IFDIR);
  archive_entry_set_perm(entry.get(), size ? 0644 : 0755);
  archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size.value_or(0)));
  archive_entry_set_mtime(entry.get(), 0, 0);
  if (archive_write_header(out, entry.get()) != ARCHIVE_OK)
    return bad("cannot write " + path + ": " + archive_error_string(out));
  return size ? copy(out, folder / path, *size) : Result<void>{};
}

Result<void> write_all(const fs::path& folder, const Tree& tree, Sink& sink) {
  const std::unique_ptr<archive, Free> out(archive_write_new());
  // GNU's format keeps the bytes of names as they are, of any length, and sizes beyond 8 GiB.
  archive_write_set_format_gnutar(out.get());
  archive_write_set_bytes_per_block(out.get(), 1 << 20);
  archive_write_set_bytes_in_last_block(out.get(), 1);
  if (archive_write_open(out.get(), &sink, nullptr, &write_to, nullptr) != ARCHIVE_OK) return bad("cannot write the archive");
  for (const auto& [path, size] : tree)
    if (auto added = add(out.get(), folder, path, size); !added) return added;
  return archive_write_close(out.get()) == ARCHIVE_OK
             ? Result<void>{}
             : bad(std::string("cannot write the archive: ") + archive_error_string(out.get()));
}

}  // namespace

Result<Packed> pack(const fs::path& folder, const fs::path& output) {
  const auto tree = walk(folder, output);
  if (!tree) return fail(tree.error());
  Packed packed;
  for (const auto& [path, size] : *tree) {
    packed.files += size.has_value();
    packed.on_disk += size ? (*size + 4095) / 4096 * 4096 : 4096;
  }
  if (packed.files == 0) return bad(folder.string() + " has no files");
  const fs::path part = output.string() + ".part";
  Sink sink(part);
  if (!sink.open()) return failed("write", part);
  if (auto written = write_all(folder, *tree, sink); !written) return fail(written.error());
  packed.bytes = sink.size();
  packed.digest = sink.digest();
  if (!sink.keep_as(output)) return failed("write", output);
  return packed;
}

int pack_main(const PackOptions& options) {
  const fs::path folder = fs::absolute(options.folder).lexically_normal();
  const fs::path named = folder.filename().empty() ? folder.parent_path() : folder;
  const fs::path output = options.output.empty() ? fs::path(named.filename().string() + ".tar") : options.output;
  const auto packed = pack(named, output);
  if (!packed) {
    std::cerr << packed.error().message << std::endl;
    return kFetchUsage;
  }
  std::cerr << output.string() << ": " << packed->files << " files, " << packed->bytes
            << " bytes; unpacked it needs an artifact.size of " << std::max(packed->bytes, packed->on_disk) << std::endl;
  std::cout << packed->digest << std::endl;
  return kFetchOk;
}

}  // namespace mo
