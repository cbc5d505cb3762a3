// The seam between everything above and the HTTP libraries: requests, streamed lines, cancelling.
// Two implementations pass the same tests: cpprestsdk (transport_cpprest.cpp) and libcurl
// (transport_curl.cpp).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "operator/core/result.h"

namespace mo::kube {

class Credentials;

struct HttpResponse;

// Keys of an S3 store. The secret key never leaves the process: it signs (AWS signature version 4).
struct S3Keys {
  std::string id, secret, region;
};

struct HttpRequest {
  std::string method = "GET";
  std::string
      target;  // path and query as sent, "/api/v1/pods?limit=500"; the plain transport wants an absolute URL
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::chrono::milliseconds deadline{30'000};       // send(): for the whole exchange
  std::chrono::milliseconds idle_deadline{90'000};  // stream(), download(): the longest silence
  size_t max_body = 512u << 20;  // bytes, once unpacked; a longer answer is ErrorKind::Malformed
  std::function<void()>
      opened;  // stream(): called on the caller's thread once a 2xx answer has begun; may be empty
  // Why an address (an IP as text, a port) is not to be connected to; empty: it may be. May be empty, and cpprestsdk's
  // transport does not ask it. Asked before each attempt to connect, so that no name server can lead elsewhere afterwards. Such a request
  // gets a connection of its own, and a refusal is ErrorKind::Forbidden with that text. Called on the caller's thread; must not throw.
  std::function<std::string(const std::string& address, int port)> refuse_peer = {};
  // download(): called once a 2xx answer has begun, before its body, with status and headers; false ends it as the sink's false does.
  // May be empty. Called on the caller's thread.
  std::function<bool(const HttpResponse& head)> begun = {};
  std::optional<S3Keys> sign = {};  // libcurl's transports alone; signs method, path, host, time and all headers of this request
};

struct HttpResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  bool redirected = false;  // it is not from whom the request named
  // The first header of that name, or null. Lives as long as this response.
  const std::string* header(std::string_view lower_case_name) const;
};

// Gets one complete line without its '\n'. Returns false to end the stream. Called on the thread that called
// stream(). An exception thrown by it ends the stream and comes out of stream().
using LineSink = std::function<bool(std::string_view line)>;

// Thread-safe. Every call blocks its caller, ends soon after its stop token is triggered
// (ErrorKind::Cancelled), and classifies what went wrong by phase (connect, send, headers, body) in the
// message. An HTTP error status is not an Error here. Redirects are not followed: a 3xx is an answer like any
// other.
//
// Both libraries send a request again by themselves when a pooled connection dies before the answer. Ours may
// do so only for GET and HEAD, or if no byte of the body was sent: a write is sent at most once, and what is
// known of it when it fails is "perhaps executed".
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  virtual Result<HttpResponse> send(const HttpRequest& request, std::stop_token stop) = 0;
  // For a 2xx answer hands over line by line and returns with an empty body when the stream ends; another
  // status is returned with its body (at most 64 KiB). Lines are bounded (16 MiB): a longer one is
  // ErrorKind::Malformed. A stream that ends in the middle of a line, a chunk or a Content-Length is
  // ErrorKind::Transport.
  virtual Result<HttpResponse> stream(const HttpRequest& request, const LineSink& sink,
                                      std::stop_token stop) = 0;

  // Closes the connections that have been idle for long. Called now and then: where no request comes, nothing else
  // does. cpprestsdk's close by themselves.
  virtual void close_idle() {}
};

inline constexpr size_t max_line_bytes = 16u << 20;
inline constexpr size_t max_error_body_bytes = 64u << 10;
inline constexpr size_t max_header_bytes = 256u << 10;  // of all response headers together

// Both talk to the server of `credentials` only, with its CA, client certificate, proxy and TLS name, read
// afresh for every connection. They ignore SIGPIPE for the process.
std::unique_ptr<HttpTransport> make_curl_transport(std::shared_ptr<Credentials> credentials);
// Fails with ErrorKind::Invalid for what cpprestsdk cannot do (a SOCKS proxy), and says that
// --http-client=curl can.
Result<std::unique_ptr<HttpTransport>> make_cpprest_transport(std::shared_ptr<Credentials> credentials);

// For addresses that users write (Prometheus, artifacts): http and https only, the system's CAs, no
// credentials, and no proxy unless asked for.
struct PlainOptions {
  std::string user_agent = "model-operator";
  int max_redirects = 0;        // never from https to http
  bool proxy_from_env = false;  // http_proxy, https_proxy, no_proxy
  std::string ca_file;          // PEM; instead of the system's CAs
};

// Gets the body piece by piece as it comes. Returns false to end the download (ErrorKind::Cancelled).
using ChunkSink = std::function<bool(std::string_view bytes)>;

class PlainTransport : public HttpTransport {
 public:
  // For a 2xx answer hands over its body and returns with an empty one; another status is returned with its
  // body (at most 64 KiB). `deadline` is not looked at, `idle_deadline` and `max_body` are. The bytes are as
  // sent: no unpacking.
  virtual Result<HttpResponse> download(const HttpRequest& request, const ChunkSink& sink,
                                        std::stop_token stop) = 0;
};
std::unique_ptr<PlainTransport> make_plain_curl_transport(PlainOptions options);

}  // namespace mo::kube
