#include "operator/fetch/download.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <ostream>
#include <utility>

namespace mo::fetch {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::chrono::seconds kSilence{60};  // a server that sends nothing for so long is gone
constexpr Duration kLongestRetry = std::chrono::seconds(10);

// True if `stop` was triggered before the time came.
bool sleep_until(Steady::time_point time, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_until(lock, stop, time, [] { return false; });
  return stop.stop_requested();
}

bool passes(int status) { return status == 408 || status == 425 || status == 429 || status >= 500; }
bool worth_another(const Error& error) { return error.kind == ErrorKind::Transport || error.kind == ErrorKind::ServerError; }
Error busy(int status) {
  return Error{ErrorKind::ServerError, "the server answered HTTP " + std::to_string(status), status, {}, {}};
}

// One download with its attempts.
class Attempts {
 public:
  Attempts(kube::PlainTransport& http, const Download& what, const Bytes& bytes, std::stop_token stop)
      : http_(http), what_(what), bytes_(bytes), stop_(std::move(stop)) {}

  // ErrorKind::Transport and ServerError are worth another.
  Result<void> once() {
    if (got_ == 0)
      if (auto started = begin_anew(); !started) return started;
    wrong_ = {};
    const auto answer = http_.download(
        request(), [this](std::string_view bytes) { return take(bytes); }, stop_);
    if (!wrong_) return wrong_;
    if (!answer) return fail(answer.error());
    if (answer->status / 100 == 2) return {};
    if (answer->status == 416 && got_ > 0) {
      got_ = 0;  // there is no such rest: another content by now
      return fail(ErrorKind::Transport, "the server has no byte " + std::to_string(asked_from_) + "; starting over");
    }
    return fail(passes(answer->status) ? busy(answer->status) : what_.refused(*answer));
  }

  bool progressed() { return std::exchange(progressed_, false); }

 private:
  kube::HttpRequest request() {
    kube::HttpRequest out = what_.request;
    if (what_.dress) what_.dress(out);
    out.idle_deadline = kSilence;
    asked_from_ = got_;
    out.max_body = static_cast<size_t>(what_.max_bytes - got_);
    if (got_ > 0) {
      out.headers.emplace_back("Range", "bytes=" + std::to_string(got_) + "-");
      if (!etag_.empty()) out.headers.emplace_back("If-Range", etag_);
      // A server that ignores the range sends all of it.
      out.max_body = static_cast<size_t>(what_.max_bytes);
    }
    out.begun = [this](const kube::HttpResponse& head) { return look_at(head); };
    return out;
  }

  bool look_at(const kube::HttpResponse& head) {
    const std::string* etag = head.header("etag");
    const std::string* range = head.header("content-range");
    if (head.status == 206 && range && range->starts_with("bytes " + std::to_string(asked_from_) + "-")) return true;
    if (got_ > 0) wrong_ = begin_anew();
    if (wrong_ && head.status == 206)
      wrong_ = fail(ErrorKind::Transport, "the server sent another range than requested");
    etag_ = etag && etag->starts_with('"') ? *etag : "";
    const std::string* length = head.header("content-length");
    if (wrong_ && length && head.status == 200) expect(*length);
    return wrong_.has_value();
  }

  // What is too large is not fetched at all.
  void expect(const std::string& length) {
    uint64_t bytes = 0;
    for (const char c : length) {
      if (c < '0' || c > '9' || bytes > UINT64_MAX / 10 - 10) return;
      bytes = 10 * bytes + static_cast<uint64_t>(c - '0');
    }
    if (bytes > what_.max_bytes)
      wrong_ = fail(ErrorKind::Malformed, "it is larger than the " + std::to_string(what_.max_bytes) +
                                              " bytes allowed: the server has " + length +
                                              "; if the artifact is right, set artifact.size");
  }

  bool take(std::string_view bytes) {
    wrong_ = bytes_.write(bytes);
    if (!wrong_) return false;
    got_ += bytes.size();
    return progressed_ = true;
  }

  Result<void> begin_anew() {
    got_ = 0;
    return bytes_.start();
  }

  kube::PlainTransport& http_;
  const Download& what_;
  const Bytes& bytes_;
  const std::stop_token stop_;
  uint64_t got_ = 0, asked_from_ = 0;
  bool progressed_ = false;
  std::string etag_;
  Result<void> wrong_;
};

template <class Once, class Progressed>
auto with_retries(Once once, Progressed progressed, const std::string& shown, const Deadline& deadline, Duration first_retry,
                  std::ostream& log) {
  for (Duration delay = first_retry;; delay = std::min(delay * 2, kLongestRetry)) {
    auto done = once();
    if (done || !worth_another(done.error())) return done;
    if (progressed()) delay = first_retry;
    log << shown << ": " << done.error().message << "; again in " << format_duration(delay) << std::endl;
    // What went wrong last says more than that the time is up.
    if (!deadline.sleep(delay)) return done;
  }
}

}  // namespace

Deadline::Deadline(Duration timeout, std::stop_token stop)
    : end_(Steady::now() + timeout), forward_(stop, [this] { source_.request_stop(); }), timer_([this](std::stop_token ended) {
        if (!sleep_until(end_, ended)) source_.request_stop();
      }) {}

bool Deadline::sleep(Duration duration) const { return !sleep_until(Steady::now() + duration, token()); }

Result<void> download(kube::PlainTransport& http, const Download& what, const Bytes& bytes, const Deadline& deadline,
                      Duration first_retry, std::ostream& log) {
  Attempts attempts(http, what, bytes, deadline.token());
  return with_retries([&] { return attempts.once(); }, [&] { return attempts.progressed(); }, what.shown, deadline, first_retry,
                      log);
}

Result<kube::HttpResponse> ask(kube::PlainTransport& http, kube::HttpRequest request, const std::string& shown,
                               size_t max_bytes, const Deadline& deadline, Duration first_retry, std::ostream& log) {
  request.max_body = max_bytes;
  request.idle_deadline = kSilence;
  const auto once = [&]() -> Result<kube::HttpResponse> {
    std::string body;
    auto answer = http.download(
        request,
        [&](std::string_view bytes) {
          body += bytes;
          return true;
        },
        deadline.token());
    if (!answer) return answer;
    if (passes(answer->status)) return fail(busy(answer->status));
    if (answer->status / 100 == 2) answer->body = std::move(body);
    return answer;
  };
  return with_retries(
      once, [] { return false; }, shown, deadline, first_retry, log);
}

}  // namespace mo::fetch
