#include "operator/fetch/source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "operator/core/text.h"
#include "operator/fetch/sha256.h"

namespace mo::fetch {
namespace {

namespace fs = std::filesystem;

class File {
 public:
  // Not blocking: the writer's end of a FIFO may never come.
  explicit File(const fs::path& path)
      : file_(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)) {}
  ~File() {
    if (file_ >= 0) ::close(file_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return file_; }

 private:
  int file_;
};

tl::unexpected<Error> unreadable(const std::string& path, const std::string& why) {
  return fail(ErrorKind::NotFound, "cannot read " + path + ": " + why);
}

bool stays_below(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.back() == '/' || path.find('\0') != std::string_view::npos)
    return false;
  const fs::path parts(path);
  return std::none_of(parts.begin(), parts.end(), [](const fs::path& part) { return part == ".."; });
}

}  // namespace

Result<Source> parse_source(std::string_view uri) {
  const size_t colon = uri.find("://");
  const std::string_view scheme = uri.substr(0, std::min(colon, uri.size()));
  const std::string_view rest = colon == std::string_view::npos ? "" : uri.substr(colon + 3);
  const size_t slash = rest.find('/');
  const std::string_view path = slash == std::string_view::npos ? "" : rest.substr(slash + 1);
  const auto wrong = [&](const std::string& why) { return fail(ErrorKind::Invalid, "--uri " + why + redact_uri(uri)); };
  if (scheme == "http" || scheme == "https") {
    if (rest.empty() || rest.front() == '/') return wrong("has no host: ");
    return Source{Source::Kind::Http, ""};
  }
  if (scheme == "s3") {
    if (slash == 0 || path.empty()) return wrong("must be s3://bucket/key, it is ");
    return Source{Source::Kind::S3, ""};
  }
  if (scheme == "oci") {
    const size_t at = rest.find('@');
    if (slash == 0 || path.empty() || at == std::string_view::npos || at <= slash + 1 || !is_digest(rest.substr(at + 1)))
      return wrong("must be oci://registry/repository@sha256:…, it is ");
    return Source{Source::Kind::Oci, ""};
  }
  if (scheme != "configmap" && scheme != "pvc")
    return wrong("must be configmap://name/key, pvc://claim/path, http(s)://…, s3://bucket/key or oci://registry/repository@sha256:…, it is ");
  if (slash == 0 || !stays_below(path))
    return wrong(std::string("must name a file below the ") + (scheme == "pvc" ? "claim" : "ConfigMap") + ", it is ");
  return Source{Source::Kind::File, std::string(path)};
}

Result<void> read_below(const fs::path& folder, const std::string& path, const Sink& sink,
                        std::stop_token stop) {
  std::error_code error;
  const fs::path root = fs::canonical(folder, error);
  if (error) return unreadable(folder.string(), error.message());
  const fs::path real = fs::canonical(root / path, error);
  if (error) return unreadable(path, error.message());
  if (std::mismatch(root.begin(), root.end(), real.begin(), real.end()).first != root.end())
    return unreadable(path, "it is a link that leads out of " + folder.string());
  // Whoever can write to the claim could still swap a link in here; all it gains is the comparison with a
  // digest that it cannot choose.
  const File file(real);
  if (file.get() < 0) return unreadable(path, std::strerror(errno));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return unreadable(path, std::strerror(errno));
  if (!S_ISREG(status.st_mode))
    return unreadable(path, S_ISDIR(status.st_mode) ? "it is a directory" : "it is no regular file");
  std::vector<char> buffer(1u << 20);
  while (!stop.stop_requested()) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unreadable(path, std::strerror(errno));
    if (got == 0) return {};
    if (auto taken = sink({buffer.data(), static_cast<size_t>(got)}); !taken) return taken;
  }
  return fail(ErrorKind::Cancelled, "stopped while reading " + path);
}

}  // namespace mo::fetch
