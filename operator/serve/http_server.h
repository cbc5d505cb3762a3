// A small HTTP server for /metrics, /healthz and /readyz. Whoever can reach the port may be hostile:
// requests, time and connections are bounded, and nobody can keep others from being answered by holding
// connections.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "operator/core/result.h"
#include "operator/serve/tls.h"

namespace mo::serve {

struct Reply {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};
};
// Called on the server's thread, so it must not block for long. The path comes without query.
using Handler = std::function<Reply(std::string_view path)>;

// Says whether a request may be answered: nullopt, or the Reply that is sent instead. May be called from any
// thread, once, and outlive the server.
using Decided = std::function<void(std::optional<Reply>)>;
// Asked before the Handler, on the server's thread, with the header Authorization. It must not block: what
// takes time calls `decided` later. It bounds that time.
using Guard = std::function<void(std::string authorization, Decided decided)>;

// A GET or HEAD as a Service sees it.
struct Request {
  std::string path, query;  // as they were sent
  std::string authorization;
  std::vector<std::pair<std::string, std::string>> headers = {};  // all of them, as they were sent; a name may come twice
  Certified certificate = {};                                     // of the caller
};
// Instead of Guard and Handler, where who asks makes a difference to the answer. Called on the server's thread, and must not block: what
// takes time calls `answer` later, once, from any thread.
using Service = std::function<void(Request request, std::function<void(Reply)> answer)>;

struct Address {
  std::string host;   // empty: all addresses, IPv6 and IPv4
  uint16_t port = 0;  // 0: any that is free
};
// "host:port", ":port", "1.2.3.4:port", "[::1]:port". ErrorKind::Invalid with a sentence.
Result<Address> parse_address(std::string_view text);

struct Limits {
  // When one more comes, the connection whose peer has been silent longest gives way: of the same address if
  // that has `per_peer`, else of all. A pod has an address of its own; the kubelet has its node's.
  int connections = 64;
  int per_peer = 16;
  // From the start of a connection, or from the answer before, until a request is complete, however its bytes
  // trickle in; and for taking an answer.
  std::chrono::milliseconds idle{20'000};
  size_t header_bytes = 8 << 10;
  size_t body_bytes = 1 << 10;
};

// One thread of its own. The destructor stops it and closes everything at once.
class HttpServer {
 public:
  // Binds at once: ErrorKind::Transport if the address is taken or is none of ours.
  // An empty `guard` lets everybody in. With `tls` it speaks HTTPS, and tells those who speak plain HTTP so; without it is plain HTTP.
  static Result<std::unique_ptr<HttpServer>> start(const Address& address, Handler handler,
                                                   Limits limits = {}, Guard guard = {}, Tls tls = {});
  static Result<std::unique_ptr<HttpServer>> start(const Address& address, Service service, Limits limits, Tls tls = {});
  ~HttpServer();

  uint16_t port() const;

 private:
  struct Impl;
  static Result<std::unique_ptr<HttpServer>> listen(const Address& address, std::shared_ptr<Impl> impl);
  explicit HttpServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
  std::jthread thread_;
};

}  // namespace mo::serve
