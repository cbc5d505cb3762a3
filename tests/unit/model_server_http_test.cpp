// The server over real connections: limits, connections that stay, and a stop that loses nothing.
#include <sys/resource.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>
#include <future>
#include <thread>

#include "model-server/server.h"

namespace model_server {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using namespace std::chrono_literals;
using boost::asio::ip::tcp;

class Running {
 public:
  explicit Running(ServerOptions options = fast())
      : server_(app_, options),
        admin_(app_, admin()),
        admin_thread_([this](std::stop_token stop) { admin_.run(stop); }),
        thread_([this](std::stop_token stop) { server_.run(stop); }) {}
  static ServerOptions admin() {
    ServerOptions options = fast();
    options.door = Door::Admin;
    options.threads = 1;
    options.max_connections = 64;
    options.max_per_peer = 16;
    return options;
  }
  static ServerOptions fast() {
    ServerOptions options;
    options.port = 0;
    options.threads = 2;
    options.shutdown_delay = 0ms;
    options.shutdown_limit = 5s;
    return options;
  }
  void stop() { thread_.request_stop(); }
  void join() { thread_.join(); }
  uint16_t port() const { return server_.port(); }
  uint16_t admin_port() const { return admin_.port(); }

 private:
  App app_{"m", "v1", load_model(R"({"kind":"linear","features":["x"],"weights":[1],"link":"logistic"})"),
           10};
  Server server_, admin_;
  std::jthread admin_thread_, thread_;
};

class Connection {
 public:
  // From 127.0.0.`host`.
  explicit Connection(uint16_t port, uint32_t host = 1) {
    socket_.open(tcp::v4());
    socket_.bind({boost::asio::ip::address_v4((127u << 24) + host), 0});
    socket_.connect({boost::asio::ip::address_v4::loopback(), port});
  }
  void send(const std::string& bytes) {
    boost::system::error_code ignored;
    boost::asio::write(socket_, boost::asio::buffer(bytes), ignored);
  }
  // One response; by Content-Length.
  std::string receive() {
    while (true) {
      const size_t end = buffer_.find("\r\n\r\n");
      if (end != std::string::npos) {
        const size_t at = buffer_.find("Content-Length: ");
        const size_t length = at < end ? std::stoul(buffer_.substr(at + 16)) : 0;
        if (buffer_.size() >= end + 4 + length) {
          const std::string response = buffer_.substr(0, end + 4 + length);
          buffer_.erase(0, end + 4 + length);
          return response;
        }
      }
      if (!more()) return buffer_;
    }
  }
  bool closed() { return buffer_.empty() && !more(); }

 private:
  bool more() {
    char bytes[4096];
    boost::system::error_code error;
    const size_t got = socket_.read_some(boost::asio::buffer(bytes), error);
    buffer_.append(bytes, got);
    return !error;
  }
  boost::asio::io_context context_;
  tcp::socket socket_{context_};
  std::string buffer_;
};

std::string post(const std::string& body) {
  return "POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}
const std::string kGet = "GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n";
const std::string kBody = R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[1]}]})";

TEST_CASE("a connection stays open and names who answered", "[model_server]") {
  Running server;
  Connection connection(server.port());
  for (int i = 0; i < 3; ++i) {
    connection.send(post(kBody));
    const std::string response = connection.receive();
    CHECK_THAT(response,
               StartsWith("HTTP/1.1 200 OK") && Contains("Model-Version: v1") && Contains(R"("data":[1])"));
  }
  connection.send(kGet + kGet);  // pipelined
  CHECK_THAT(connection.receive(), StartsWith("HTTP/1.1 200"));
  CHECK_THAT(connection.receive(), StartsWith("HTTP/1.1 200"));
  connection.send("HEAD /v2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK_THAT(connection.receive(), StartsWith("HTTP/1.1 200"));
}

TEST_CASE("a body that is too long is refused before it is read", "[model_server]") {
  Running server;
  Connection connection(server.port());
  connection.send("POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\nx");
  CHECK_THAT(connection.receive(),
             StartsWith("HTTP/1.1 413") && Contains("{\"error\":") && Contains("Connection: close"));
  Connection chunked(server.port());
  chunked.send("POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n500000\r\n" +
               std::string(0x500000, ' ') + "\r\n0\r\n\r\n");
  CHECK_THAT(chunked.receive(), StartsWith("HTTP/1.1 413"));
}

TEST_CASE("a client that waits for 100-continue gets it", "[model_server]") {
  Running server;
  Connection connection(server.port());
  connection.send("POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: " +
                  std::to_string(kBody.size()) + "\r\n\r\n");
  CHECK_THAT(connection.receive(), StartsWith("HTTP/1.1 100"));
  connection.send(kBody);
  CHECK_THAT(connection.receive(), StartsWith("HTTP/1.1 200"));
}

TEST_CASE("what is no HTTP is answered with 400 or closed", "[model_server]") {
  Running server;
  for (const std::string& noise :
       {std::string("hello\r\n\r\n"), std::string("GET / HTTP/9.9\r\n\r\n"),
        std::string("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
        std::string("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n")}) {
    Connection connection(server.port());
    connection.send(noise);
    CHECK_THAT(connection.receive(), StartsWith("HTTP/1.1 400"));
  }
  Connection endless(server.port());
  endless.send("GET / HTTP/1.1\r\nX: " + std::string(100'000, 'x'));
  CHECK_THAT(endless.receive(), StartsWith("HTTP/1.1 431"));
  Connection alive(server.port());
  alive.send(kGet);
  CHECK_THAT(alive.receive(), StartsWith("HTTP/1.1 200"));
}

TEST_CASE("slow connections are closed, and the longest silent one gives way to a new one", "[model_server]") {
  auto options = Running::fast();
  options.idle = 50ms;
  options.request = 50ms;
  options.max_connections = 2;
  Running server(options);
  Connection idle(server.port()), slow(server.port());
  slow.send("POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{");
  CHECK(idle.closed());
  CHECK(slow.closed());
  options.idle = options.request = 10s;
  Running other(options);
  // Silence counts from the request, not from when a thread is done with its answer: that may be after the peer has
  // read it, and after others were heard.
  Connection one(other.port()), two(other.port());
  two.send(kGet);
  two.receive();
  one.send(kGet);
  one.receive();
  Connection three(other.port());
  three.send(kGet);
  CHECK_THAT(three.receive(), StartsWith("HTTP/1.1 200"));
  CHECK(two.closed());
  one.send(kGet);
  CHECK_THAT(one.receive(), StartsWith("HTTP/1.1 200"));
}

// Whether a probe is answered on a connection of its own.
bool probed(uint16_t port, uint32_t host = 1) {
  Connection connection(port, host);
  connection.send(kGet);
  return connection.receive().starts_with("HTTP/1.1 200");
}

TEST_CASE("probes and scrapes are answered whatever callers do", "[model_server]") {
  auto options = Running::fast();
  options.max_connections = 100;
  Running server(options);
  std::vector<std::unique_ptr<Connection>> callers;
  for (int i = 0; i < 300; ++i) {
    callers.push_back(std::make_unique<Connection>(server.port(), 2));
    callers.back()->send("POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{");
  }
  CHECK(probed(server.admin_port()));
  CHECK(probed(server.port()));
  Connection scrape(server.admin_port());
  scrape.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK_THAT(scrape.receive(), StartsWith("HTTP/1.1 200") && Contains("model_requests_total"));
}

TEST_CASE("a probe is answered under any number of silent connections to the admin port", "[model_server]") {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  Running server;
  for (const int connections : {32, 200, 1'000}) {
    std::vector<std::unique_ptr<Connection>> silent;
    for (int i = 0; i < connections / 2; ++i) silent.push_back(std::make_unique<Connection>(server.admin_port(), 2));
    CHECK(probed(server.admin_port()));
    CHECK(probed(server.admin_port(), 2));
    for (int i = 0; i < connections / 2; ++i)
      silent.push_back(std::make_unique<Connection>(server.admin_port(), 3 + static_cast<uint32_t>(i) % 200));
    CHECK(probed(server.admin_port()));
    CHECK(probed(server.admin_port(), 2));
  }
}

TEST_CASE("an address with all its connections costs others none of theirs", "[model_server]") {
  Running server;
  Connection kept(server.admin_port());
  std::vector<std::unique_ptr<Connection>> silent;
  for (int i = 0; i < 100; ++i) silent.push_back(std::make_unique<Connection>(server.admin_port(), 2));
  kept.send(kGet);
  CHECK_THAT(kept.receive(), StartsWith("HTTP/1.1 200"));
}

TEST_CASE("feedback is taken on the admin port alone", "[model_server]") {
  Running server;
  const std::string body = R"({"predictions":[1],"labels":[1]})";
  const std::string request = "POST /v2/models/m/feedback HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                              std::to_string(body.size()) + "\r\n\r\n" + body;
  Connection caller(server.port()), admin(server.admin_port());
  caller.send(request);
  CHECK_THAT(caller.receive(), StartsWith("HTTP/1.1 403") && Contains("only on the admin port"));
  admin.send(request);
  CHECK_THAT(admin.receive(), StartsWith("HTTP/1.1 200") && Contains("\"accuracy\":1.0"));
}

TEST_CASE("binary tensors travel behind the JSON", "[model_server]") {
  Running server;
  const std::string json =
      R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP64","parameters":{"binary_data_size":8}}],"parameters":{"binary_data_output":true}})";
  const double one = 1;
  const std::string body = json + std::string(reinterpret_cast<const char*>(&one), sizeof one);
  Connection connection(server.port());
  connection.send("POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nInference-Header-Content-Length: " + std::to_string(json.size()) +
                  "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  const std::string response = connection.receive();
  CHECK_THAT(response, StartsWith("HTTP/1.1 200") && Contains("Inference-Header-Content-Length: ") &&
                           Contains("Content-Type: application/octet-stream") && Contains(R"("binary_data_size":8)"));
}

TEST_CASE("a stop closes idle connections and ends what is running", "[model_server]") {
  Running server;
  Connection idle(server.port()), busy(server.port());
  idle.send(kGet);
  idle.receive();
  const std::string request = post(kBody);
  busy.send(request.substr(0, 60));
  std::this_thread::sleep_for(50ms);
  server.stop();
  CHECK(idle.closed());
  busy.send(request.substr(60));
  CHECK_THAT(busy.receive(), StartsWith("HTTP/1.1 200") && Contains("Connection: close"));
  CHECK(busy.closed());
  server.join();
}

TEST_CASE("for a while after the stop requests are still answered, and readiness is not", "[model_server]") {
  auto options = Running::fast();
  options.shutdown_delay = 300ms;
  Running server(options);
  server.stop();
  std::this_thread::sleep_for(50ms);
  Connection late(server.port());
  late.send(post(kBody));
  CHECK_THAT(late.receive(), StartsWith("HTTP/1.1 200") && Contains("Connection: close"));
  Connection probe(server.port());
  probe.send(kGet);
  CHECK_THAT(probe.receive(), StartsWith("HTTP/1.1 503"));
  server.join();
}

TEST_CASE("many clients at once", "[model_server]") {
  Running server;
  std::vector<std::future<int>> clients;
  for (int i = 0; i < 8; ++i)
    clients.push_back(std::async(std::launch::async, [&] {
      Connection connection(server.port());
      int good = 0;
      for (int n = 0; n < 50; ++n) {
        connection.send(post(kBody));
        good += connection.receive().rfind("HTTP/1.1 200", 0) == 0;
      }
      return good;
    }));
  for (auto& client : clients) CHECK(client.get() == 50);
}

}  // namespace
}  // namespace model_server
