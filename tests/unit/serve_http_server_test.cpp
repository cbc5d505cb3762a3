#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <mutex>
#include <thread>
#include <vector>

#include "operator/serve/http_server.h"
#include "operator/serve/metrics.h"

using namespace mo;
using namespace mo::serve;
using namespace std::chrono_literals;

namespace {

// From 127.0.0.`host`; -1 if it failed. For any thread: it asserts nothing.
int dial(uint16_t port, uint32_t host) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl((127u << 24) + host);
  bool made = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  made = made && connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  if (!made) {
    close(fd);
    return -1;
  }
  timeval limit{5, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return fd;
}

int connect_to(uint16_t port, uint32_t host = 1) {
  const int fd = dial(port, host);
  REQUIRE(fd >= 0);
  return fd;
}

std::string exchange(uint16_t port, const std::string& request, uint32_t host = 1) {
  const int fd = connect_to(port, host);
  (void)!send(fd, request.data(), request.size(), MSG_NOSIGNAL);
  std::string answer;
  char buffer[4096];
  for (ssize_t n; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;)
    answer.append(buffer, static_cast<size_t>(n));
  close(fd);
  return answer;
}

std::unique_ptr<HttpServer> server(Limits limits = {}, Guard guard = {}) {
  auto started = HttpServer::start(
      {"127.0.0.1", 0},
      [](std::string_view path) {
        return Reply{200, "text/plain", std::string(path)};
      },
      limits, std::move(guard));
  REQUIRE(started);
  return std::move(*started);
}

const std::string kProbe = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
bool probed(uint16_t port, uint32_t host = 1) {
  return exchange(port, kProbe, host).find(" 200 ") != std::string::npos;
}

// Connections that say nothing; closed at the end.
class Silent {
 public:
  Silent() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  ~Silent() {
    for (const int fd : fds_) close(fd);
  }
  // How many could be made.
  int add(uint16_t port, uint32_t host, int how_many) {
    for (int i = 0; i < how_many; ++i)
      if (const int fd = dial(port, host); fd >= 0) fds_.push_back(fd);
    return static_cast<int>(fds_.size());
  }

 private:
  std::vector<int> fds_;
};

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

TEST_CASE("serve: the connection that is silent longest gives way to a new one") {
  Limits limits;
  limits.connections = 2;
  auto it = server(limits);
  const int a = connect_to(it->port()), b = connect_to(it->port());
  (void)!send(a, "GET", 3, 0);  // bytes that are no request are silence
  CHECK(probed(it->port()));
  char byte;
  CHECK(recv(a, &byte, 1, 0) <= 0);
  (void)!send(b, kProbe.data(), kProbe.size(), 0);
  CHECK(recv(b, &byte, 1, 0) == 1);
  close(a);
  close(b);
}

TEST_CASE("serve: however slowly its bytes come, a request has one deadline") {
  Limits limits;
  limits.idle = 100ms;
  auto it = server(limits);
  const int fd = connect_to(it->port());
  timeval pause{0, 10'000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof pause);
  bool closed = false;
  for (int i = 0; i < 2'000 && !closed; ++i) {
    char byte;
    (void)!send(fd, "G", 1, MSG_NOSIGNAL);
    const ssize_t got = recv(fd, &byte, 1, 0);
    closed = got == 0 || (got < 0 && errno != EAGAIN);
  }
  CHECK(closed);
  close(fd);
}

TEST_CASE("serve: a probe is answered under any number of silent connections, from one address or many") {
  auto it = server();
  for (const int connections : {32, 200, 1'000}) {
    INFO(connections);
    {
      Silent silent;
      REQUIRE(silent.add(it->port(), 2, connections) == connections);
      CHECK(probed(it->port()));
      CHECK(probed(it->port(), 2));  // the kubelet's address may be that of a pod on the node's network
    }
    Silent silent;
    for (int i = 0; i < connections; ++i) silent.add(it->port(), 2 + static_cast<uint32_t>(i) % 200, 1);
    CHECK(probed(it->port()));
    CHECK(probed(it->port(), 2));
  }
}

TEST_CASE("serve: an address with all its connections costs others none of theirs") {
  Limits limits;
  limits.connections = 8;
  limits.per_peer = 4;
  auto it = server(limits);
  const int kept = connect_to(it->port());
  Silent silent;
  silent.add(it->port(), 2, 100);
  (void)!send(kept, kProbe.data(), kProbe.size(), 0);
  char byte;
  CHECK(recv(kept, &byte, 1, 0) == 1);
  close(kept);
}

TEST_CASE("serve: probes are answered while connections are made without end") {
  auto it = server();
  std::atomic<bool> done{false};
  std::atomic<int> made{0};
  std::vector<std::jthread> attackers;
  for (uint32_t host = 2; host < 4; ++host)
    attackers.emplace_back([&, host] {
      while (!done) {
        Silent silent;
        made += silent.add(it->port(), host, 50);
      }
    });
  int answered = 0;
  for (int i = 0; i < 100; ++i) answered += probed(it->port());
  done = true;
  attackers.clear();
  INFO(made << " connections were made meanwhile");
  CHECK(answered == 100);
  CHECK(made > 100);
}

TEST_CASE("serve: a guard lets in, refuses, and may take its time on another thread") {
  std::mutex mutex;
  std::vector<Decided> waiting;
  auto it = server({}, [&](std::string authorization, Decided decided) {
    if (authorization == "Bearer good") return decided({});
    if (authorization.empty()) return decided(Reply{401, "text/plain", "who are you?\n"});
    std::lock_guard lock(mutex);
    waiting.push_back(std::move(decided));
  });
  const auto ask = [&](const std::string& header) {
    return exchange(it->port(), "GET /metrics HTTP/1.1\r\n" + header + "Connection: close\r\n\r\n");
  };
  CHECK(ask("Authorization: Bearer good\r\n").find("\r\n\r\n/metrics") != std::string::npos);
  CHECK(ask("").find("WWW-Authenticate: Bearer\r\n") != std::string::npos);
  const int slow = connect_to(it->port());
  const std::string request = "GET /metrics HTTP/1.1\r\nAuthorization: later\r\n\r\n";
  (void)!send(slow, request.data(), request.size(), 0);
  for (;;) {
    std::lock_guard lock(mutex);
    if (!waiting.empty()) break;
  }
  CHECK(ask("Authorization: Bearer good\r\n").find(" 200 ") != std::string::npos);  // others are not held up
  const Decided decided = std::move(waiting[0]);
  waiting.clear();
  SECTION("the answer comes") {
    std::thread([&] { decided(Reply{403, "text/plain", "no\n"}); }).join();
    char bytes[12] = {};
    CHECK(recv(slow, bytes, sizeof bytes, MSG_WAITALL) == sizeof bytes);
    CHECK(std::string(bytes, sizeof bytes) == "HTTP/1.1 403");
  }
  SECTION("the connection gave way meanwhile") {
    Silent silent;
    silent.add(it->port(), 1, 200);
    CHECK(probed(it->port()) == false);  // 401: the server has seen all of them
    decided({});
    CHECK(ask("").find(" 401 ") != std::string::npos);
  }
  SECTION("the server is gone meanwhile") {
    it.reset();
    decided({});
  }
  close(slow);
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

TEST_CASE("serve: a Service sees who asks and for what, and may answer later and with headers") {
  std::vector<std::jthread> later;
  std::mutex mutex;
  const auto service = [&](Request request, std::function<void(Reply)> answer) {
    const std::lock_guard lock(mutex);
    later.emplace_back([request = std::move(request), answer = std::move(answer)] {
      answer({200, "text/plain", request.path + "|" + request.query + "|" + request.authorization, {{"X-Of", "it"}}});
    });
  };
  const auto started = HttpServer::start({"127.0.0.1", 0}, serve::Service(service), Limits{});
  REQUIRE(started);
  const std::string text =
      exchange((*started)->port(), "GET /a/b?c=d&e=%20 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\nConnection: close\r\n\r\n");
  CHECK(text.find("\r\n\r\n/a/b|c=d&e=%20|Bearer t") != std::string::npos);
  CHECK(text.find("X-Of: it\r\n") != std::string::npos);
  CHECK(exchange((*started)->port(), "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").find(" 405 ") != std::string::npos);
  const std::lock_guard lock(mutex);
  CHECK(later.size() == 1);
}
