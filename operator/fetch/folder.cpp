#include "operator/fetch/folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "operator/core/text.h"

namespace mo::fetch {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLongestPath = 1024;
constexpr int kDeepest = 32;
constexpr uint64_t kBlock = 4096;

std::string plain_path(std::string_view path) {
  std::string out;
  for (const fs::path& part : fs::path(path))
    if (!part.empty() && part != ".") out += (out.empty() ? "" : "/") + part.string();
  return out;
}

tl::unexpected<Error> refuse(const std::string& why) { return fail(ErrorKind::Malformed, why); }
tl::unexpected<Error> unreadable(const fs::path& what, const std::string& why) { return fail(ErrorKind::NotFound, "cannot read " + what.string() + ": " + why); }

}  // namespace

std::string path_problem(std::string_view path) {
  const std::string shown = '"' + whole_characters(path, 200) + '"';
  if (path.size() > kLongestPath) return "the path " + shown + "… is longer than 1024 bytes";
  for (std::string_view rest = path; !rest.empty();) {
    const size_t length = character_length(rest);
    if (length == 0) return "a path is not valid UTF-8";
    if (static_cast<unsigned char>(rest[0]) < 0x20 || rest[0] == 0x7f) return "a path contains control characters";
    rest.remove_prefix(length);
  }
  if (path.starts_with('/')) return "the path " + shown + " is absolute";
  int depth = 0;
  for (const fs::path& part : fs::path(path)) {
    if (part == "..") return "the path " + shown + " points outside of the folder";
    if (part.native().size() > 255) return "the path " + shown + " has a name longer than 255 bytes";
    depth += part != "." && !part.empty();
  }
  return depth > kDeepest + 1 ? "the path " + shown + " is more than 32 folders deep" : "";
}

Folder::Folder(fs::path path, uint64_t max_bytes)
    : path_(std::move(path)), part_(path_.parent_path() / ("." + path_.filename().string() + ".part")), max_bytes_(max_bytes) {}

Folder::~Folder() {
  close_quietly();
  std::error_code ignored;
  if (started_) fs::remove_all(part_, ignored);
}

void Folder::close_quietly() {
  if (file_ >= 0) ::close(file_);
  file_ = -1;
}

tl::unexpected<Error> Folder::failed(const char* doing, const std::string& what) const {
  return fail(ErrorKind::Forbidden, std::string("cannot ") + doing + " " + what + ": " + std::strerror(errno));
}

Result<void> Folder::start() {
  close_quietly();
  // Two folders side by side would need twice the volume's size; no server has started yet.
  for (const fs::path& old : {part_, path_}) {
    std::error_code error;
    fs::remove_all(old, error);
    if (error) return fail(ErrorKind::Forbidden, "cannot remove " + old.string() + ": " + error.message());
  }
  entries_ = blocks_ = file_count_ = 0;
  if (::mkdir(part_.c_str(), 0755) != 0) return failed("create", part_.string());
  started_ = true;
  return {};
}

Result<void> Folder::count_entry() {
  if (++entries_ > kMostEntries) return refuse("it has more than " + std::to_string(kMostEntries) + " files and folders");
  return {};
}

Result<void> Folder::count_bytes(uint64_t bytes) {
  const uint64_t blocks = (bytes + kBlock - 1) / kBlock;
  if (blocks > (max_bytes_ + kBlock - 1) / kBlock - blocks_)
    return refuse("unpacked it takes more than the " + std::to_string(max_bytes_) +
                  " bytes allowed; if the artifact is right, set artifact.size");
  blocks_ += blocks;
  return {};
}

Result<void> Folder::add_folder(std::string_view path) {
  if (const std::string problem = path_problem(path); !problem.empty()) return refuse(problem);
  fs::path at = part_;
  for (const fs::path& part : fs::path(plain_path(path))) {
    at /= part;
    if (::mkdir(at.c_str(), 0755) == 0) {
      if (auto counted = count_entry(); !counted) return counted;
      if (auto counted = count_bytes(kBlock); !counted) return counted;
      continue;
    }
    if (errno != EEXIST) return failed("create", at.string());
    struct stat status {};
    if (::lstat(at.c_str(), &status) != 0) return failed("look at", at.string());
    if (!S_ISDIR(status.st_mode)) return refuse("\"" + whole_characters(path, 200) + "\" goes through a file");
  }
  return {};
}

Result<void> Folder::open_file(std::string_view path) {
  if (const std::string problem = path_problem(path); !problem.empty()) return refuse(problem);
  file_path_ = plain_path(path);
  if (file_path_.empty() || path.ends_with('/')) return refuse("a file has no name");
  if (auto made = add_folder(fs::path(file_path_).parent_path().string()); !made) return made;
  if (auto counted = count_entry(); !counted) return counted;
  const std::string full = (part_ / file_path_).string();
  if (layered_ && fs::path(file_path_).filename().string().starts_with(".wh."))
    return refuse("its layers delete files (" + whole_characters(file_path_, 200) +
                  "), which is not supported; build it from scratch, in one layer");
  if (layered_) ::unlink(full.c_str());
  file_ = ::open(full.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file_ < 0 && errno == EEXIST) return refuse("it contains \"" + whole_characters(file_path_, 200) + "\" twice");
  if (file_ < 0) return failed("create", full);
  file_size_ = 0;
  ++file_count_;
  return {};
}

Result<void> Folder::write(std::string_view bytes) {
  const uint64_t before = (file_size_ + kBlock - 1) / kBlock, after = (file_size_ + bytes.size() + kBlock - 1) / kBlock;
  if (auto counted = count_bytes((after - before) * kBlock); !counted) return counted;
  file_size_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed("write", file_path_);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Result<void> Folder::empty_file() {
  if (::ftruncate(file_, 0) != 0 || ::lseek(file_, 0, SEEK_SET) != 0) return failed("write", file_path_);
  blocks_ -= (file_size_ + kBlock - 1) / kBlock;
  file_size_ = 0;
  return {};
}

Result<void> Folder::close_file() {
  const bool changed = ::fchmod(file_, 0444) == 0;
  const bool closed = ::close(file_) == 0;
  file_ = -1;
  return changed && closed ? Result<void>{} : failed("close", file_path_);
}

Result<Files> Folder::files() const {
  Files out;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(part_, error); !error && it != fs::end(it); it.increment(error)) {
    if (!it->is_regular_file(error)) continue;
    auto digest = digest_of_file(it->path());
    if (!digest) return failed("read", it->path().string());
    out.emplace(it->path().lexically_relative(part_).string(), std::move(*digest));
  }
  if (error) return fail(ErrorKind::Forbidden, "cannot read " + part_.string() + ": " + error.message());
  return out;
}

Result<bool> is_without_files(const fs::path& folder) {
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(folder, error); !error && it != fs::end(it); it.increment(error))
    if (!fs::is_directory(it->symlink_status(error))) return false;
  if (error) return unreadable(folder, error.message());
  return true;
}

Result<Files> files_below(const fs::path& folder, std::stop_token stop) {
  Files out;
  std::error_code error;
  uint64_t entries = 0;
  for (auto it = fs::recursive_directory_iterator(folder, error); !error && it != fs::end(it); it.increment(error)) {
    if (stop.stop_requested()) return fail(ErrorKind::Cancelled, "stopped");
    if (++entries > kMostEntries) return refuse("it has more than " + std::to_string(kMostEntries) + " files and folders");
    const fs::file_status status = it->symlink_status(error);
    if (error) return unreadable(it->path(), error.message());
    const std::string path = it->path().lexically_relative(folder).string();
    if (fs::is_directory(status)) continue;
    if (!fs::is_regular_file(status)) return refuse("\"" + whole_characters(path, 200) + "\" is neither a file nor a folder");
    auto digest = digest_of_file(it->path());
    if (!digest) return unreadable(it->path(), std::strerror(errno));
    out.emplace(path, std::move(*digest));
  }
  if (error) return unreadable(folder, error.message());
  return out;
}

Result<void> Folder::keep() {
  if (::rename(part_.c_str(), path_.c_str()) != 0) return failed("put in place", path_.string());
  started_ = false;
  return {};
}

Result<void> FolderReceiver::begin() {
  unpacker_.abandon();
  if (auto started = folder_.start(); !started) return started;
  unpacker_.start();
  return {};
}

}  // namespace mo::fetch
