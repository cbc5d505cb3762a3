// The server over real connections: limits, connections that stay, and a stop that loses nothing.
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
      : server_(app_, options), thread_([this](std::stop_token stop) { server_.run(stop); }) {}
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

 private:
  App app_{"m", "v1", load_model(R"({"kind":"linear","features":["x"],"weights":[1],"link":"logistic"})"),
           10};
  Server server_;
  std::jthread thread_;
};

class Connection {
 public:
  explicit Connection(uint16_t port) { socket_.connect({boost::asio::ip::address_v4::loopback(), port}); }
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

TEST_CASE("slow and superfluous connections are closed", "[model_server]") {
  auto options = Running::fast();
  options.idle = 50ms;
  options.request = 50ms;
  options.max_connections = 2;
  Running server(options);
  Connection idle(server.port()), slow(server.port());
  slow.send("POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{");
  CHECK(idle.closed());
  CHECK(slow.closed());
  options.idle = 10s;
  Running other(options);
  Connection one(other.port()), two(other.port());
  one.send(kGet);
  one.receive();
  two.send(kGet);
  two.receive();
  CHECK(Connection(other.port()).closed());
}

TEST_CASE("a stop closes idle connections and ends what is under way", "[model_server]") {
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
