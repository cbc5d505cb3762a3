// The seam between everything above and the HTTP libraries: requests, streamed lines, cancelling.
// Two implementations pass the same tests: cpprestsdk (transport_cpprest.cpp) and libcurl (transport_curl.cpp).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "operator/core/result.h"

namespace mo::kube {

struct HttpRequest {
  std::string method = "GET";
  std::string target;  // path and query as sent, "/api/v1/pods?limit=500"; for curl's general use an absolute URL
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::chrono::milliseconds deadline{30'000};       // send(): for the whole exchange
  std::chrono::milliseconds idle_deadline{90'000};  // stream(): the longest silence
  size_t max_body = 512u << 20;                     // a longer answer is ErrorKind::Malformed
};

struct HttpResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  const std::string* header(std::string_view lower_case_name) const;
};

// Gets one complete line without its '\n'. Returns false to end the stream. Called on one thread at a time.
using LineSink = std::function<bool(std::string_view line)>;

// Thread-safe. Every call blocks its caller, ends soon after its stop token is triggered (ErrorKind::Cancelled), and
// classifies what went wrong by phase (connect, send, headers, body) in the message. An HTTP error status is not an Error here.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  virtual Result<HttpResponse> send(const HttpRequest& request, std::stop_token stop) = 0;
  // For a 2xx answer hands over line by line and returns with an empty body when the stream ends; another status is returned with
  // its body (at most 64 KiB). Lines are bounded (16 MiB): a longer one is ErrorKind::Malformed.
  virtual Result<HttpResponse> stream(const HttpRequest& request, const LineSink& sink, std::stop_token stop) = 0;
};

}  // namespace mo::kube
