// HTTP/1.1 around the App: several threads, everything bounded, a stop that loses no request. Callers and admin have a
// Server each, and so neither connections nor threads in common: no number of callers keeps a probe from its answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>

#include "model-server/app.h"

namespace model_server {

struct ServerOptions {
  Door door = Door::Callers;
  uint16_t port = 8080;  // 0: any free one
  int threads = 4;
  size_t max_body = 4u << 20;     // a longer request is answered with 413
  // When one more comes, the connection whose peer has been silent longest gives way: of the same address if that has
  // `max_per_peer`, else of all. Callers may all come from the one address of a gateway, so they have no such bound.
  size_t max_connections = 1024;
  size_t max_per_peer = SIZE_MAX;
  std::chrono::milliseconds idle{
      75'000};  // between two requests of one connection, and for a request's header
  std::chrono::milliseconds request{30'000};  // for a request's body, and for writing its response
  // After the stop: how long connections are still taken (it takes a moment until nobody sends any), and how
  // long requests may take to end.
  std::chrono::milliseconds shutdown_delay{3'000};
  std::chrono::milliseconds shutdown_limit{15'000};
};

// Listens from construction on, on all addresses, IPv6 and IPv4; serves while run() runs. Throws
// std::system_error if it cannot listen.
class Server {
 public:
  // `app` must outlive this.
  Server(App& app, ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t port() const;

  // Blocks until `stop` is triggered and everything has ended: it is not ready any more and asks clients to
  // close their connections, then takes no new ones, closes those that are idle and lets what is under way
  // finish. Once only.
  void run(std::stop_token stop);

 private:
  struct Listener;
  std::unique_ptr<Listener> listener_;
};

}  // namespace model_server
