#include "operator/export/sink.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "operator/export/s3_sink.h"

namespace mo::audit {
namespace {

constexpr std::chrono::seconds kDeadline{30};
constexpr size_t kLargestToken = 16384;
constexpr size_t kAnswerShown = 200;
constexpr size_t kNeverBlocks = 4096;  // PIPE_BUF: a pipe that is ready takes as much at once
constexpr int kLookAtStop = 200;       // milliseconds

Result<void> trouble(const std::string& what) { return fail(ErrorKind::Transport, what + ": " + std::strerror(errno)); }

// A reader that reads no more keeps nobody from stopping.
Result<void> write_all(int file, const std::string& lines, const std::string& what, std::stop_token stop, size_t& at) {
  for (at = 0; at < lines.size();) {
    if (stop.stop_requested()) return fail(ErrorKind::Cancelled, what + ": the operator stops");
    pollfd ready{file, POLLOUT, 0};
    if (const int polled = ::poll(&ready, 1, kLookAtStop); polled == 0 || (polled < 0 && errno == EINTR)) continue;
    const ssize_t written = ::write(file, lines.data() + at, std::min(lines.size() - at, kNeverBlocks));
    if (written < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (written < 0) return trouble(what);
    at += static_cast<size_t>(written);
  }
  return {};
}

class Stdout final : public Sink {
 public:
  Result<void> write(const Batch& batch, std::stop_token stop) override {
    const std::string& lines = batch.lines;
    // What was cut ends before all of it comes again.
    size_t at = 0;
    const Result<void> written = write_all(STDOUT_FILENO, cut_ ? "\n" + lines : lines, "standard output", stop, at);
    if (at > 0) cut_ = !written;
    return written;
  }

 private:
  bool cut_ = false;
};

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

// Opened for each write, so that somebody may rotate it.
class File final : public Sink {
 public:
  explicit File(std::string path) : path_(std::move(path)) {}

  Result<void> write(const Batch& batch, std::stop_token stop) override {
    const std::string& lines = batch.lines;
    const Descriptor file(::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
    struct stat about {};
    if (file.number() < 0 || ::fstat(file.number(), &about) != 0) return trouble(path_);
    const off_t whole = S_ISREG(about.st_mode) ? whole_lines(file.number(), about.st_size) : about.st_size;
    if (whole < about.st_size && ::ftruncate(file.number(), whole) != 0) return trouble(path_);
    size_t at = 0;
    Result<void> written = write_all(file.number(), lines, path_, stop, at);
    if (written && S_ISREG(about.st_mode) && ::fdatasync(file.number()) != 0) written = trouble(path_);
    // No half a line stays: all of them come again.
    if (!written && S_ISREG(about.st_mode) && ::ftruncate(file.number(), whole) != 0) return trouble(path_);
    return written;
  }

 private:
  // A crash may have left a part of the last line: its records are not marked as exported, and come again.
  static off_t whole_lines(int file, off_t size) {
    char block[4096];
    for (off_t end = size; end > 0;) {
      const off_t begin = std::max<off_t>(0, end - static_cast<off_t>(sizeof block));
      const ssize_t got = ::pread(file, block, static_cast<size_t>(end - begin), begin);
      if (got <= 0) return size;
      for (ssize_t i = got; i-- > 0;)
        if (block[i] == '\n') return begin + i + 1;
      end = begin;
    }
    return 0;
  }

  const std::string path_;
};

// A mounted Secret changes by itself.
Result<std::string> read_token(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorKind::Transport, "cannot read " + path);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > ' ' && c < 0x7f; });
  if (text.empty() || text.size() > kLargestToken || !plain) return fail(ErrorKind::Transport, path + " must hold one word");
  return text;
}

class Web final : public Sink {
 public:
  Web(std::string url, std::string token_file, kube::HttpTransport& http)
      : url_(std::move(url)), token_file_(std::move(token_file)), http_(http) {}

  Result<void> write(const Batch& batch, std::stop_token stop) override {
    kube::HttpRequest request;
    request.method = "POST";
    request.target = url_;
    request.deadline = kDeadline;
    request.max_body = 4u << 20;  // one that answers with what it got
    request.body = batch.lines;
    request.headers = {{"Content-Type", "application/x-ndjson"}, {"Idempotency-Key", batch.id}};
    if (!token_file_.empty()) {
      const auto token = read_token(token_file_);
      if (!token) return fail(token.error());
      request.headers.emplace_back("Authorization", "Bearer " + *token);
    }
    const auto answer = http_.send(request, stop);
    if (!answer)
      return fail(answer.error().kind == ErrorKind::Invalid ? ErrorKind::Transport : answer.error().kind,
                  answer.error().message);
    if (answer->status / 100 == 2) return {};
    const std::string said =
        "it answered HTTP " + std::to_string(answer->status) +
        (answer->body.empty() ? "" : ": " + answer->body.substr(0, answer->body.find_first_of("\r\n")).substr(0, kAnswerShown));
    // Of these alone another body may be what helps. A wrong token or address concerns all.
    const bool of_lines = answer->status == 400 || answer->status == 409 || answer->status == 413 || answer->status == 422;
    return fail(of_lines ? ErrorKind::Invalid : ErrorKind::ServerError, said);
  }

 private:
  const std::string url_, token_file_;
  kube::HttpTransport& http_;
};

}  // namespace

Result<std::unique_ptr<Sink>> make_sink(const SinkOptions& options, kube::HttpTransport& http) {
  const std::string &where = options.where, &token_file = options.token_file;
  const bool web = where.starts_with("https://") || where.starts_with("http://"), s3 = where.starts_with("s3://");
  if (!token_file.empty() && !where.starts_with("https://"))
    return fail(ErrorKind::Invalid, "a token is sent only to an https address, but --audit-export is " + where);
  if (!options.credentials.empty() && !s3)
    return fail(ErrorKind::Invalid, "--audit-export-credentials need an S3 store, but --audit-export is " + where);
  if (where == "stdout") return std::unique_ptr<Sink>(std::make_unique<Stdout>());
  if (s3) return make_s3_sink(where, options.credentials, http);
  if (web && where.size() > 8) return std::unique_ptr<Sink>(std::make_unique<Web>(where, token_file, http));
  constexpr std::string_view file = "file:";
  if (where.starts_with(file) && where.size() > file.size())
    return std::unique_ptr<Sink>(std::make_unique<File>(where.substr(file.size())));
  return fail(ErrorKind::Invalid, where + " must be stdout, file:PATH, an http(s) address or s3://BUCKET/PREFIX");
}

}  // namespace mo::audit
