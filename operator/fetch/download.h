// The body of one address, brought over connections that may break.
#pragma once

#include <chrono>
#include <functional>
#include <iosfwd>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "operator/core/result.h"
#include "operator/core/time.h"
#include "operator/kube/transport.h"

namespace mo::fetch {

// A token that is triggered when the caller's is or when the time is up.
class Deadline {
 public:
  Deadline(Duration timeout, std::stop_token stop);
  std::stop_token token() const { return source_.get_token(); }
  bool passed() const { return std::chrono::steady_clock::now() >= end_; }
  // False if the deadline passed or the caller asked to stop.
  bool sleep(Duration duration) const;

 private:
  std::chrono::steady_clock::time_point end_;
  std::stop_source source_;
  std::stop_callback<std::function<void()>> forward_;
  std::jthread timer_;
};

// Where bytes go. `start` begins anew: all that was written is void.
struct Bytes {
  std::function<Result<void>()> start;
  std::function<Result<void>(std::string_view)> write;
};

struct Download {
  kube::HttpRequest request;  // without a range, idle deadline or bound
  std::string shown;          // the address in log lines
  uint64_t max_bytes = 0;
  std::function<void(kube::HttpRequest&)> dress;  // of each attempt's own: a token that may have been renewed; may be empty
  // What an answer that is neither 2xx nor worth another try means.
  std::function<Error(const kube::HttpResponse&)> refused;
};

// Brings all bytes. After a broken connection it asks for the rest (Range, with If-Range where the server gave a strong ETag)
// and begins anew only where the server cannot. Statuses 408, 425, 429 and 5xx and broken connections are tried again until the
// deadline: the first time after `first_retry`, then twice as late up to 10 s; bytes that came reset that. Errors of `bytes`
// and `refused` are final.
Result<void> download(kube::PlainTransport& http, const Download& what, const Bytes& bytes, const Deadline& deadline,
                      Duration first_retry, std::ostream& log);

// The same for an answer of at most `max_bytes` that is needed whole, in memory; 4xx answers come back as they are.
Result<kube::HttpResponse> ask(kube::PlainTransport& http, kube::HttpRequest request, const std::string& shown,
                               size_t max_bytes, const Deadline& deadline, Duration first_retry, std::ostream& log);

}  // namespace mo::fetch
