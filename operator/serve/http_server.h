// A small HTTP server for /metrics, /healthz and /readyz. Whoever can reach the port may be hostile:
// requests, time and connections are bounded.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "operator/core/result.h"

namespace mo::serve {

struct Reply {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};
// Called on the server's thread, so it must not block for long. The path comes without query.
using Handler = std::function<Reply(std::string_view path)>;

struct Address {
  std::string host;   // empty: all addresses, IPv6 and IPv4
  uint16_t port = 0;  // 0: any that is free
};
// "host:port", ":port", "1.2.3.4:port", "[::1]:port". ErrorKind::Invalid with a sentence.
Result<Address> parse_address(std::string_view text);

struct Limits {
  int connections = 32;                    // one more is closed at once
  std::chrono::milliseconds idle{20'000};  // for reading a request, for writing an answer, and between two
  size_t header_bytes = 8 << 10;
  size_t body_bytes = 1 << 10;
};

// One thread of its own. The destructor stops it and closes everything at once.
class HttpServer {
 public:
  // Binds at once: ErrorKind::Transport if the address is taken or is none of ours.
  static Result<std::unique_ptr<HttpServer>> start(const Address& address, Handler handler,
                                                   Limits limits = {});
  ~HttpServer();

  uint16_t port() const;

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
  std::jthread thread_;
};

}  // namespace mo::serve
