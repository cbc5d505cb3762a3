#include "operator/fetch/target.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace mo::fetch {

// The name is always the same, so that a container which was killed leaves one part at most, and the next one
// writes over it.
Target::Target(std::filesystem::path path, uint64_t max_bytes)
    : Receiver(max_bytes),
      path_(std::move(path)),
      part_(path_.parent_path() / ("." + path_.filename().string() + ".part")) {}

Target::~Target() {
  if (file_ < 0) return;
  close();
  ::unlink(part_.c_str());
}

void Target::close() {
  ::close(file_);
  file_ = -1;
}

tl::unexpected<Error> Target::failed(const char* doing) const {
  return fail(ErrorKind::Forbidden,
              std::string("cannot ") + doing + " " + path_.string() + ": " + std::strerror(errno));
}

Result<void> Target::begin() {
  if (file_ >= 0) close();
  // A part that is there already may be read-only, and two files side by side would need twice the volume's size.
  ::unlink(part_.c_str());
  ::unlink(path_.c_str());
  file_ = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file_ < 0) return failed("create");
  return {};
}

Result<void> Target::take(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed("write");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

// What was written is read again: only a signature asks for it, and the hash of the stream is the caller's.
Result<Files> Target::files() {
  auto digest = digest_of_file(part_);
  if (!digest) return failed("read");
  return Files{{".", std::move(*digest)}};
}

Result<void> Target::keep() {
  if (::fchmod(file_, 0444) != 0) return failed("make read-only");
  if (::fsync(file_) != 0) return failed("flush");
  if (::rename(part_.c_str(), path_.c_str()) != 0) return failed("put in place");
  close();
  return {};
}

}  // namespace mo::fetch
