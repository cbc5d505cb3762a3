#include "operator/fetch/fetch.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <iostream>
#include <mutex>
#include <thread>

#include "operator/core/text.h"
#include "operator/fetch/credentials.h"
#include "operator/fetch/sha256.h"
#include "operator/fetch/source.h"
#include "operator/fetch/target.h"

namespace mo {
namespace {

using Steady = std::chrono::steady_clock;
using fetch::Target;

constexpr std::chrono::seconds kSilence{60};  // a server that sends nothing for so long is gone
constexpr Duration kLongestRetry = std::chrono::seconds(10);

struct Outcome {
  int code = kFetchOk;
  std::string sentence;
};

// A token that is triggered when the caller's is or when the time is up.
class Deadline {
 public:
  Deadline(Duration timeout, std::stop_token stop)
      : end_(Steady::now() + timeout),
        forward_(stop, [this] { source_.request_stop(); }),
        timer_([this](std::stop_token ended) {
          if (!sleep_until(end_, ended)) source_.request_stop();
        }) {}
  std::stop_token token() const { return source_.get_token(); }
  bool passed() const { return Steady::now() >= end_; }
  // False if the deadline passed or the caller asked to stop.
  bool sleep(Duration duration) const { return !sleep_until(Steady::now() + duration, token()); }

 private:
  // True if `stop` was triggered before the time came.
  static bool sleep_until(Steady::time_point time, std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_until(lock, stop, time, [] { return false; });
    return stop.stop_requested();
  }

  Steady::time_point end_;
  std::stop_source source_;
  std::stop_callback<std::function<void()>> forward_;
  std::jthread timer_;
};

bool passes(int status) { return status == 408 || status == 425 || status == 429 || status >= 500; }

std::string answered(int status, bool with_credentials) {
  const std::string text = "the server answered HTTP " + std::to_string(status);
  if (status != 401 && status != 403) return text;
  return text + (with_credentials ? "; check the Secret of artifact.credentials" : "; name a Secret in artifact.credentials");
}

// One attempt. ErrorKind::Transport and ServerError are worth another.
Result<void> download(const FetchOptions& options, const std::string& authorization, kube::PlainTransport& http,
                      Target& target, std::stop_token stop) {
  if (auto started = target.start(); !started) return started;
  kube::HttpRequest request;
  request.target = options.uri;
  if (!authorization.empty()) request.headers.emplace_back("Authorization", authorization);
  request.idle_deadline = kSilence;
  request.max_body = static_cast<size_t>(options.max_bytes);
  Result<void> written;
  const auto answer = http.download(
      request,
      [&](std::string_view bytes) {
        written = target.write(bytes);
        return written.has_value();
      },
      stop);
  if (!written) return written;
  if (!answer) return fail(answer.error());
  if (answer->status >= 200 && answer->status < 300) return {};
  const ErrorKind kind = passes(answer->status) ? ErrorKind::ServerError : ErrorKind::NotFound;
  return fail(kind, answered(answer->status, !authorization.empty()));
}

// What goes into the header Authorization; "" without credentials.
Result<std::string> authorization_of(const FetchOptions& options) {
  if (options.credentials_dir.empty()) return "";
  if (options.uri.starts_with("https://")) return fetch::read_authorization(options.credentials_dir);
  return fail(ErrorKind::Invalid, "credentials are sent to https:// addresses alone, and --uri is " + redact_uri(options.uri));
}

Result<void> download_with_retries(const FetchOptions& options, kube::PlainTransport& http, Target& target,
                                   const Deadline& deadline, std::ostream& log) {
  const auto authorization = authorization_of(options);
  if (!authorization) return fail(authorization.error());
  for (Duration delay = options.first_retry;; delay = std::min(delay * 2, kLongestRetry)) {
    auto done = download(options, *authorization, http, target, deadline.token());
    if (done || (done.error().kind != ErrorKind::Transport && done.error().kind != ErrorKind::ServerError))
      return done;
    log << redact_uri(options.uri) << ": " << done.error().message << "; again in " << format_duration(delay)
        << std::endl;
    // What went wrong last says more than that the time is up.
    if (!deadline.sleep(delay)) return done;
  }
}

Outcome failure(const FetchOptions& options, const Error& error, bool asked_to_stop, bool late) {
  const std::string uri = redact_uri(options.uri), sentence = uri + ": " + error.message;
  if (asked_to_stop) return {kFetchStopped, uri + ": stopped before it was complete"};
  switch (error.kind) {
    case ErrorKind::Invalid:
      return {kFetchUsage, error.message};
    case ErrorKind::Forbidden:
      return {kFetchOutput, sentence};  // Target's word for a file that cannot be written
    case ErrorKind::Unauthorized:
      return {kFetchCredentials, sentence};
    case ErrorKind::Cancelled:
      return {kFetchNetwork, uri + ": not complete within " + format_duration(options.timeout)};
    case ErrorKind::Transport:
    case ErrorKind::ServerError:
      return {kFetchNetwork, sentence + (late ? "; given up after " + format_duration(options.timeout) : "")};
    default:
      return {kFetchNoSource, sentence};
  }
}

Outcome run(const FetchOptions& options, kube::PlainTransport& http, std::ostream& log,
            std::stop_token stop) {
  const auto source = fetch::parse_source(options.uri);
  if (!source) return {kFetchUsage, source.error().message};
  if (!fetch::is_digest(options.digest))
    return {kFetchUsage,
            "--digest must be sha256: and 64 hexadecimal digits in lower case, it is " + options.digest};
  if (options.output.filename().empty())
    return {kFetchUsage, "--output must name a file, it is " + options.output.string()};

  const Deadline deadline(options.timeout, stop);
  Target target(options.output, options.max_bytes);
  Result<void> brought;
  if (source->kind == fetch::Source::Kind::Http) {
    brought = download_with_retries(options, http, target, deadline, log);
  } else if (brought = target.start(); brought) {
    brought = fetch::read_below(
        options.source_dir, source->path, [&](std::string_view bytes) { return target.write(bytes); },
        deadline.token());
  }
  if (!brought) return failure(options, brought.error(), stop.stop_requested(), deadline.passed());
  if (const std::string digest = target.digest(); digest != options.digest)
    return {kFetchMismatch,
            "digest mismatch: " + redact_uri(options.uri) + " has " + digest + ", expected " + options.digest};
  if (auto kept = target.keep(); !kept) return failure(options, kept.error(), false, false);
  return {kFetchOk,
          "fetched " + redact_uri(options.uri) + ", " + std::to_string(target.size()) + " bytes, " + options.digest};
}

// The kubelet made the file; where there is none there is no kubelet.
void write_termination_log(const std::filesystem::path& path, const std::string& sentence) {
  const int file = ::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (file < 0) return;
  // Nothing can be done about a failure: the same sentence is on stderr.
  [[maybe_unused]] const ssize_t written =
      ::write(file, sentence.data(), std::min<size_t>(sentence.size(), 4096));
  ::close(file);
}

}  // namespace

int fetch_artifact(const FetchOptions& options, kube::PlainTransport& http, std::ostream& log,
                   std::stop_token stop) {
  Outcome outcome;
  try {
    outcome = run(options, http, log, stop);
  } catch (const std::exception& e) {
    outcome = {kFetchOutput, redact_uri(options.uri) + ": " + e.what()};
  }
  log << outcome.sentence << std::endl;
  write_termination_log(options.termination_log, outcome.sentence);
  return outcome.code;
}

int fetch_main(const FetchOptions& options, std::stop_token stop) {
  kube::PlainOptions http;
  http.max_redirects = 5;
  http.proxy_from_env = true;
  if (!options.credentials_dir.empty()) http.ca_file = fetch::ca_file(options.credentials_dir).string();
  const auto transport = kube::make_plain_curl_transport(http);
  return fetch_artifact(options, *transport, std::cerr, stop);
}

}  // namespace mo
