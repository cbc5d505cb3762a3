#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <vector>

#include "operator/serve/http_server.h"
#include "operator/serve/metrics.h"

using namespace mo;
using namespace mo::serve;
using namespace std::chrono_literals;

namespace {

int connect_to(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  timeval limit{5, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return fd;
}

std::string exchange(uint16_t port, const std::string& request) {
  const int fd = connect_to(port);
  (void)!send(fd, request.data(), request.size(), MSG_NOSIGNAL);
  std::string answer;
  char buffer[4096];
  for (ssize_t n; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;)
    answer.append(buffer, static_cast<size_t>(n));
  close(fd);
  return answer;
}

std::unique_ptr<HttpServer> server(Limits limits = {}) {
  auto started = HttpServer::start(
      {"127.0.0.1", 0},
      [](std::string_view path) {
        return Reply{200, "text/plain", std::string(path)};
      },
      limits);
  REQUIRE(started);
  return std::move(*started);
}

}  // namespace

TEST_CASE("serve: addresses") {
  CHECK(parse_address(":8081")->host.empty());
  CHECK(parse_address("[::1]:9")->host == "::1");
  CHECK(parse_address("localhost:80")->port == 80);
  for (const char* bad : {"", "8081", "::1:80", ":x", ":70000", ":", "host:"})
    CHECK_FALSE(parse_address(bad));
}

TEST_CASE("serve: answers GETs and refuses the rest") {
  auto it = server();
  const std::string close = "\r\nHost: x\r\nConnection: close\r\n\r\n";
  CHECK(exchange(it->port(), "GET /healthz?verbose HTTP/1.1" + close).find("\r\n\r\n/healthz") !=
        std::string::npos);
  CHECK(exchange(it->port(), "POST /healthz HTTP/1.1" + close).find(" 405 ") != std::string::npos);
  const std::string head = exchange(it->port(), "HEAD /abc HTTP/1.1" + close);
  CHECK(head.find(" 200 ") != std::string::npos);
  CHECK(head.substr(head.size() - 4) == "\r\n\r\n");
  CHECK(exchange(it->port(), "GET / HTTP/1.1\r\nA: " + std::string(20000, 'a') + "\r\n\r\n").find(" 200 ") ==
        std::string::npos);
  CHECK(exchange(it->port(), "POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n").find(" 413 ") !=
        std::string::npos);
  CHECK(exchange(it->port(), "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n")
            .find(" 200 ") == std::string::npos);
  CHECK(exchange(it->port(), "\x16\x03\x01 rubbish\r\n\r\n").find(" 200 ") == std::string::npos);
  CHECK(exchange(it->port(), "GET / HTTP/1.1" + close).find(" 200 ") != std::string::npos);
}

TEST_CASE("serve: too many connections and slow ones are closed, and others are served again") {
  Limits limits;
  limits.connections = 2;
  limits.idle = 300ms;
  auto it = server(limits);
  const int a = connect_to(it->port()), b = connect_to(it->port());
  (void)!send(a, "GET", 3, 0);
  CHECK(exchange(it->port(), "GET / HTTP/1.1\r\n\r\n").empty());
  char byte;
  CHECK(recv(a, &byte, 1, 0) <= 0);  // a slow client does not hold its place
  CHECK(recv(b, &byte, 1, 0) <= 0);
  CHECK(exchange(it->port(), "GET / HTTP/1.1\r\nConnection: close\r\n\r\n").find(" 200 ") !=
        std::string::npos);
  close(a);
  close(b);
}

TEST_CASE("serve: an address that is taken is an error, and stopping is clean with a client connected") {
  auto it = server();
  CHECK_FALSE(HttpServer::start({"127.0.0.1", it->port()}, [](std::string_view) { return Reply{}; }));
  const int fd = connect_to(it->port());
  it.reset();
  close(fd);
}

TEST_CASE("serve: metrics") {
  Stores stores;
  Metrics metrics(
      "1.2.3",
      {.queue_depth = [] { return size_t{7}; }, .events_dropped = {}, .leading = {}, .models_of_others = [] { return size_t{2}; }, .stores = &stores});
  metrics.api_call("get", "models", 200, 0.01);
  metrics.api_call("watch", "models", 200, 300);
  metrics.reconciled("done", 0.002);
  metrics.watch_restarted(Kind::Pod);
  const std::string text = metrics.text();
  CHECK(text.find("model_operator_queue_depth 7") != std::string::npos);
  CHECK(text.find("model_operator_models_of_others 2") != std::string::npos);
  CHECK(text.find("model_operator_rollouts{phase=\"Succeeded\"} 0") != std::string::npos);
  CHECK(text.find("model_operator_watch_restarts_total{kind=\"Pod\"} 1") != std::string::npos);
  CHECK(text.find("model_operator_reconcile_seconds_count 1") != std::string::npos);
  CHECK(text.find("version=\"1.2.3\"") != std::string::npos);
  CHECK(text.find("model_operator_api_call_seconds_count{resource=\"models\",verb=\"watch\"}") ==
        std::string::npos);
}
