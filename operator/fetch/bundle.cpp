#include "operator/fetch/bundle.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>
#include <system_error>

#include "operator/core/text.h"

namespace mo::fetch {
namespace {

namespace fs = std::filesystem;

struct Free {
  void operator()(archive_entry* e) const { archive_entry_free(e); }
};
using Archive = std::unique_ptr<archive, int (*)(archive*)>;

std::string why(archive* a) {
  const char* said = archive_error_string(a);
  return whole_characters(said ? said : "unknown error", 300);
}

Result<void> write_all(archive* out, const fs::path& path, const Bundle& files) {
  const auto failed = [&] { return fail(ErrorKind::Invalid, "cannot write " + path.string() + ": " + why(out)); };
  archive_write_add_filter_gzip(out);
  archive_write_set_filter_option(out, "gzip", "timestamp", nullptr);
  archive_write_set_format_gnutar(out);
  if (archive_write_open_filename(out, path.c_str()) != ARCHIVE_OK) return failed();
  for (const auto& [name, bytes] : files) {
    const std::unique_ptr<archive_entry, Free> entry(archive_entry_new());
    archive_entry_copy_pathname(entry.get(), name.c_str());
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(bytes.size()));
    archive_entry_set_mtime(entry.get(), 0, 0);
    if (archive_write_header(out, entry.get()) != ARCHIVE_OK || archive_write_data(out, bytes.data(), bytes.size()) < 0)
      return failed();
  }
  if (archive_write_close(out) != ARCHIVE_OK) return failed();
  return {};
}

Result<std::string> read_file(archive* in, archive_entry* entry, size_t left) {
  std::string bytes;
  char buffer[1 << 16];
  for (;;) {
    const la_ssize_t got = archive_read_data(in, buffer, sizeof buffer);
    if (got < 0) return fail(ErrorKind::Invalid, why(in));
    if (got == 0) return bytes;
    if (bytes.size() + static_cast<size_t>(got) > left)
      return fail(ErrorKind::Invalid, whole_characters(archive_entry_pathname(entry), 200) + " makes it larger than 64 MiB");
    bytes.append(buffer, static_cast<size_t>(got));
  }
}

Result<Bundle> read_all(archive* in) {
  Bundle files;
  size_t left = kLargestFiles;
  for (;;) {
    archive_entry* entry = nullptr;
    const int got = archive_read_next_header(in, &entry);
    if (got == ARCHIVE_EOF) return files;
    if (got != ARCHIVE_OK && got != ARCHIVE_WARN) return fail(ErrorKind::Invalid, why(in));
    const char* name = archive_entry_pathname(entry);
    if (!name || archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry))
      return fail(ErrorKind::Invalid, "an entry is not a regular file");
    const fs::path path(name);
    if (path.is_absolute() || std::find(path.begin(), path.end(), "..") != path.end())
      return fail(ErrorKind::Invalid, "the name " + whole_characters(name, 200) + " points outside of the pack");
    if (files.size() == kMostFiles)
      return fail(ErrorKind::Invalid, "it holds more than " + std::to_string(kMostFiles) + " files");
    auto bytes = read_file(in, entry, left);
    if (!bytes) return fail(bytes.error());
    left -= bytes->size();
    if (!files.emplace(name, std::move(*bytes)).second)
      return fail(ErrorKind::Invalid, "it holds " + whole_characters(name, 200) + " twice");
  }
}

}  // namespace

Result<void> write_bundle(const fs::path& path, const Bundle& files) {
  const fs::path unfinished = path.string() + ".part";
  const Archive out(archive_write_new(), &archive_write_free);
  auto written = write_all(out.get(), unfinished, files);
  std::error_code error;
  if (written) fs::rename(unfinished, path, error);
  if (error) written = fail(ErrorKind::Invalid, "cannot write " + path.string() + ": " + error.message());
  if (!written) fs::remove(unfinished, error);
  return written;
}

Result<Bundle> read_bundle(const fs::path& path) {
  const Archive in(archive_read_new(), &archive_read_free);
  archive_read_support_format_tar(in.get());
  archive_read_support_filter_gzip(in.get());
  const auto bad = [&](const std::string& reason) {
    return fail(ErrorKind::Invalid, path.string() + " is not an evidence pack: " + reason);
  };
  if (archive_read_open_filename(in.get(), path.c_str(), 1 << 16) != ARCHIVE_OK) return bad(why(in.get()));
  auto files = read_all(in.get());
  if (!files) return bad(files.error().message);
  return files;
}

}  // namespace mo::fetch
