// The same tests for both transports: what HttpTransport promises, against a server that answers anything.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <future>

#include "kube_test_server.h"
#include "operator/kube/credentials.h"
#include "operator/kube/idle_pool.h"
#include "operator/kube/lines.h"
#include "operator/kube/transport.h"

namespace mo::kube::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

enum class Library { Curl, Cpprest };
std::ostream& operator<<(std::ostream& out, Library library) {
  return out << (library == Library::Curl ? "curl" : "cpprest");
}

#define FOR_BOTH_LIBRARIES()                                         \
  const Library library = GENERATE(Library::Curl, Library::Cpprest); \
  CAPTURE(library)

std::shared_ptr<Credentials> credentials_for(const std::string& server, const std::string& ca = "") {
  Config config;
  config.server = server;
  config.ca.data = ca;
  return std::make_shared<Credentials>(config);
}

std::unique_ptr<HttpTransport> make(Library library, std::shared_ptr<Credentials> credentials) {
  if (library == Library::Curl) return make_curl_transport(std::move(credentials));
  auto made = make_cpprest_transport(std::move(credentials));
  REQUIRE(made);
  return std::move(*made);
}

std::unique_ptr<HttpTransport> make(Library library, const TestServer& server) {
  return make(library, credentials_for(server.url()));
}

HttpRequest get(const std::string& target = "/x") {
  HttpRequest request;
  request.target = target;
  request.deadline = 5s;
  request.idle_deadline = 5s;
  return request;
}

HttpRequest post(const std::string& body) {
  HttpRequest request = get("/things");
  request.method = "POST";
  request.body = body;
  request.headers.emplace_back("Content-Type", "application/json");
  return request;
}

struct Collected {
  std::vector<std::string> lines;
  LineSink sink = [this](std::string_view line) {
    lines.emplace_back(line);
    return true;
  };
};

double seconds_since(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

const std::stop_token never;

TEST_CASE("a GET brings status, headers and body", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  TestServer server(replies([](const ReceivedRequest& r) {
    return answer(r.target == "/x?a=b%2Fc&d=e" ? 200 : 400, "{\"ok\":true}", "X-Thing: One \r\n");
  }));
  auto transport = make(library, server);
  auto request = get("/x?a=b%2Fc&d=e");
  request.headers.emplace_back("Accept", "application/json");
  const auto response = transport->send(request, never);
  REQUIRE(response);
  CHECK(response->status == 200);
  CHECK(response->body == "{\"ok\":true}");
  REQUIRE(response->header("x-thing"));
  CHECK(*response->header("x-thing") == "One");
  CHECK(server.requests()[0].headers.at("accept") == "application/json");
  CHECK(server.requests()[0].headers.count("expect") == 0);
}

TEST_CASE("an error status and a redirect are answers", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  const int status = GENERATE(302, 404, 500);
  TestServer server(replies([status](const ReceivedRequest& r) {
    return answer(r.target == "/x" ? status : 200, "sorry", "Location: /y\r\n");
  }));
  const auto response = make(library, server)->send(get(), never);
  REQUIRE(response);
  CHECK(response->status == status);
  CHECK(response->body == "sorry");
  CHECK(server.requests().size() == 1);
}

TEST_CASE("writes arrive with method, type and body", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  const std::string method = GENERATE("POST", "PUT", "PATCH", "DELETE");
  TestServer server(replies([](const ReceivedRequest&) { return answer(200, "{}"); }));
  auto request = post(std::string(100'000, 'x'));
  request.method = method;
  REQUIRE(make(library, server)->send(request, never));
  const auto got = server.requests().at(0);
  CHECK(got.method == method);
  CHECK(got.body == request.body);
  CHECK(got.headers.at("content-type") == "application/json");
  CHECK(got.headers.count("transfer-encoding") == 0);
}

TEST_CASE("connections are used again", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  TestServer server(replies([](const ReceivedRequest&) { return answer(200, "{}"); }));
  auto transport = make(library, server);
  for (int i = 0; i < 5; ++i) REQUIRE(transport->send(get(), never));
  REQUIRE(transport->send(post("{}"), never));
  CHECK(server.connections() == 1);
}

TEST_CASE("packed answers are unpacked, and bounded once unpacked", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  // gzip of 20 bytes "aaaaaaaaaaaaaaaaaaaa"
  static const unsigned char gz[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x4b, 0x4c,
                                     0xc4, 0x04, 0x00, 0xce, 0x8b, 0x6f, 0x26, 0x14, 0x00, 0x00, 0x00};
  const std::string packed(reinterpret_cast<const char*>(gz), sizeof gz);
  TestServer server(replies([&](const ReceivedRequest& r) {
    const bool wanted = r.headers.count("accept-encoding") &&
                        r.headers.at("accept-encoding").find("gzip") != std::string::npos;
    return answer(wanted ? 200 : 400, packed, "Content-Encoding: gzip\r\n");
  }));
  auto transport = make(library, server);
  const auto response = transport->send(get(), never);
  REQUIRE(response);
  CHECK(response->status == 200);
  CHECK(response->body == std::string(20, 'a'));
  auto small = get();
  small.max_body = 19;
  const auto refused = transport->send(small, never);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::Malformed);
}

TEST_CASE("a stream is cut into lines wherever its bytes are cut", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  const std::vector<std::string> lines{"{\"a\":\"größe\"}", "", "{\"b\":\"日本語😀\"}", "{\"c\":3}"};
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  const size_t cut = GENERATE_COPY(range(size_t{1}, size_t{12}));  // the chunks' size
  TestServer server([&](Connection& connection) {
    connection.read_request();
    connection.write(chunked_head);
    for (size_t at = 0; at < text.size(); at += cut)
      connection.write(chunk(std::string_view(text).substr(at, cut)));
    connection.write(last_chunk);
  });
  Collected collected;
  const auto response = make(library, server)->stream(get(), collected.sink, never);
  REQUIRE(response);
  CHECK(response->status == 200);
  CHECK(response->body.empty());
  CHECK(collected.lines == lines);
}

TEST_CASE("a line is handed over when it comes, not when the stream ends", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  std::promise<void> seen;
  auto was_seen = seen.get_future();
  bool in_time = false;
  TestServer server([&](Connection& connection) {
    connection.read_request();
    connection.write(chunked_head + chunk("one\n"));
    in_time = was_seen.wait_for(30s) == std::future_status::ready;
    connection.write(chunk("two\n") + last_chunk);
  });
  std::vector<std::string> lines;
  const LineSink sink = [&](std::string_view line) {
    if (lines.empty()) seen.set_value();
    lines.emplace_back(line);
    return true;
  };
  REQUIRE(make(library, server)->stream(get(), sink, never));
  CHECK(in_time);
  CHECK(lines == std::vector<std::string>{"one", "two"});
}

TEST_CASE("a stream says when it was accepted, before its first line", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  std::promise<void> opened;
  auto was_opened = opened.get_future();
  bool in_time = false;
  TestServer server([&](Connection& connection) {
    const auto request = connection.read_request();
    if (request && request->target == "/refused") {
      connection.write(answer(403, "no"));
      return;
    }
    connection.write(chunked_head);
    in_time = was_opened.wait_for(30s) == std::future_status::ready;
    connection.write(chunk("one\n") + last_chunk);
  });
  Collected collected;
  int times = 0;
  auto request = get();
  request.opened = [&] {
    if (times++ == 0) opened.set_value();
  };
  auto transport = make(library, server);
  REQUIRE(transport->stream(request, collected.sink, never));
  CHECK(in_time);
  CHECK(times == 1);
  CHECK(collected.lines == std::vector<std::string>{"one"});
  request.target = "/refused";
  REQUIRE(transport->stream(request, collected.sink, never));
  CHECK(times == 1);
}

TEST_CASE("a stream that is cut is an error, and the lines before it were handed over", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  const std::string tail =
      GENERATE(as<std::string>{}, "", "5\r\nab", "5\r\nhal", "zz\r\nx\n\r\n", "4\r\nhalf\r\n0\r\n\r\n");
  CAPTURE(tail);
  const bool hard = GENERATE(false, true);
  TestServer server([&](Connection& connection) {
    connection.read_request();
    connection.write(chunked_head + chunk("one\n"));
    connection.sleep(20ms);
    connection.write(tail);
    if (hard) {
      connection.sleep(20ms);
      connection.reset();
    }
  });
  Collected collected;
  const auto response = make(library, server)->stream(get(), collected.sink, never);
  REQUIRE_FALSE(response);
  CHECK(response.error().kind == ErrorKind::Transport);
  CHECK_THAT(response.error().message, Catch::StartsWith("body: "));
  CHECK(collected.lines == std::vector<std::string>{"one"});
}

TEST_CASE("an answer shorter than its Content-Length is an error", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  TestServer server([](Connection& connection) {
    connection.read_request();
    connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
  });
  const auto response = make(library, server)->send(get(), never);
  REQUIRE_FALSE(response);
  CHECK(response.error().kind == ErrorKind::Transport);
}

// A story: cpprestsdk reads chunk sizes as signed numbers. "-1" made it ask for 2^64-1 bytes; bad_alloc on
// its thread ended the process.
TEST_CASE("bad chunk sizes fail their request and nothing else", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  const std::string size = GENERATE(as<std::string>{}, "-1", "-2", "-3", "-80000000", "7fffffffffffffff",
                                    "ffffffffffffffffff", "");
  CAPTURE(size);
  TestServer server([&](Connection& connection) {
    const auto request = connection.read_request();
    if (request && request->target == "/good") {
      connection.write(answer(200, "good"));
    } else {
      connection.write(chunked_head + size + "\r\nsome bytes that follow\n\r\n");
      connection.wait_for_client_to_leave();
    }
  });
  auto transport = make(library, server);
  auto request = get("/bad");
  request.deadline = request.idle_deadline = 150ms;
  if (GENERATE(false, true)) {
    CHECK_FALSE(transport->send(request, never));
  } else {
    Collected collected;
    CHECK_FALSE(transport->stream(request, collected.sink, never));
  }
  const auto good = transport->send(get("/good"), never);
  REQUIRE(good);
  CHECK(good->body == "good");
}

TEST_CASE("a total deadline ends what drips", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  TestServer server([](Connection& connection) {
    const auto request = connection.read_request();
    if (request && request->target == "/good") {
      connection.write(answer(200, "good"));
      return;
    }
    connection.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    while (connection.sleep(100ms) && connection.write("x")) {
    }
  });
  auto transport = make(library, server);
  auto slow = std::async(std::launch::async, [&] {
    auto request = get("/slow");
    request.deadline = 700ms;
    const auto start = steady_clock::now();
    auto response = transport->send(request, never);
    return std::pair(std::move(response), seconds_since(start));
  });
  // Others are not held up.
  for (int i = 0; i < 10; ++i) REQUIRE(transport->send(get("/good"), never));
  const auto [response, took] = slow.get();
  REQUIRE_FALSE(response);
  CHECK(response.error().kind == ErrorKind::Transport);
  CHECK_THAT(response.error().message, Catch::StartsWith("body: ") && Catch::Contains("700ms"));
  CHECK(took > 0.6);
  CHECK(took < 50);  // and not the 100 s that it takes to drip
}

TEST_CASE("silence ends a stream", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  const bool before_headers = GENERATE(false, true);
  CAPTURE(before_headers);
  TestServer server([&](Connection& connection) {
    connection.read_request();
    if (!before_headers) connection.write(chunked_head + chunk("one\n"));
    for (int i = 0; i < 4 && !before_headers; ++i) {
      connection.sleep(200ms);
      connection.write(chunk("more\n"));
    }
    connection.wait_for_client_to_leave();
  });
  auto request = get();
  request.idle_deadline = 1s;
  Collected collected;
  const auto start = steady_clock::now();
  const auto response = make(library, server)->stream(request, collected.sink, never);
  const double took = seconds_since(start);
  REQUIRE_FALSE(response);
  CHECK(response.error().kind == ErrorKind::Transport);
  CHECK_THAT(response.error().message, Catch::Contains("silent"));
  CHECK(collected.lines.size() == (before_headers ? 0 : 5));
  CHECK(took > (before_headers ? 0.9 : 1.7));
}

TEST_CASE("a call ends soon after its stop token is triggered", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  const bool headers_first = GENERATE(false, true);
  TestServer server([&](Connection& connection) {
    connection.read_request();
    if (headers_first) connection.write(chunked_head + chunk("one\n"));
    connection.wait_for_client_to_leave();
  });
  auto transport = make(library, server);
  for (const bool streaming : {false, true}) {
    std::stop_source stop;
    steady_clock::time_point asked;
    std::jthread stopper([&] {
      std::this_thread::sleep_for(150ms);
      asked = steady_clock::now();
      stop.request_stop();
    });
    Collected collected;
    const auto response = streaming ? transport->stream(get(), collected.sink, stop.get_token())
                                    : transport->send(get(), stop.get_token());
    stopper.join();
    CHECK(seconds_since(asked) < 5);  // and not when its time is over
    REQUIRE_FALSE(response);
    CHECK(response.error().kind == ErrorKind::Cancelled);
  }
  std::stop_source already;
  already.request_stop();
  const auto response = transport->send(get(), already.get_token());
  REQUIRE_FALSE(response);
  CHECK(response.error().kind == ErrorKind::Cancelled);
}

TEST_CASE("many calls cancelled from other threads", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  const KeyPair ca = make_ca("cluster CA");
  TestServer server(
      [&](Connection& connection) {
        connection.read_request();
        connection.write(chunked_head);
        while (connection.write(chunk("line\n")) && connection.sleep(2ms)) {
        }
      },
      ServerTls{issue(ca, "server"), ""});
  auto transport = make(library, credentials_for(server.url(), ca.cert));
  std::atomic<int> cancelled{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&, i] {
        for (int round = 0; round < 3; ++round) {
          std::stop_source stop;
          std::jthread stopper([&stop, i, round] {
            std::this_thread::sleep_for(std::chrono::milliseconds(5 * i + 20 * round));
            stop.request_stop();
          });
          Collected collected;
          const auto response = transport->stream(get(), collected.sink, stop.get_token());
          if (!response && response.error().kind == ErrorKind::Cancelled) ++cancelled;
        }
      });
    }
  }
  CHECK(cancelled == 24);
}

TEST_CASE("the sink ends the stream, or throws through it", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  TestServer server([](Connection& connection) {
    connection.read_request();
    connection.write(chunked_head + chunk("one\ntwo\n"));
    connection.wait_for_client_to_leave();
  });
  auto transport = make(library, server);
  int lines = 0;
  const auto response = transport->stream(
      get(), [&](std::string_view) { return ++lines, false; }, never);
  REQUIRE(response);
  CHECK(response->status == 200);
  CHECK(lines == 1);
  CHECK_THROWS_WITH(transport->stream(
                        get(), [](std::string_view) -> bool { throw std::runtime_error("mine"); }, never),
                    "mine");
}

TEST_CASE("a slow sink holds the sender back instead of filling memory", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  std::atomic<size_t> written{0};
  TestServer server([&](Connection& connection) {
    connection.read_request();
    connection.write(chunked_head);
    const std::string piece = chunk(std::string(65'535, 'x') + "\n");
    while (written < (256u << 20) && connection.write(piece)) written += piece.size();
  });
  const auto start = steady_clock::now();
  const auto response = make(library, server)
                            ->stream(
                                get(),
                                [&](std::string_view) {
                                  std::this_thread::sleep_for(10ms);
                                  return seconds_since(start) < 0.5;
                                },
                                never);
  REQUIRE(response);
  CHECK(written < (64u << 20));
}

TEST_CASE("bodies and lines are bounded", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  TestServer server([](Connection& connection) {
    const auto request = connection.read_request();
    connection.write(request && request->target == "/error"
                         ? "HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n"
                         : chunked_head);
    const std::string piece = chunk(std::string(1u << 20, 'x'));
    while (connection.write(piece)) {
    }
  });
  auto transport = make(library, server);
  auto request = get();
  request.max_body = 3u << 20;
  const auto body = transport->send(request, never);
  REQUIRE_FALSE(body);
  CHECK(body.error().kind == ErrorKind::Malformed);
  Collected collected;
  const auto line = transport->stream(get(), collected.sink, never);
  REQUIRE_FALSE(line);
  CHECK(line.error().kind == ErrorKind::Malformed);
  const auto error = transport->stream(get("/error"), collected.sink, never);
  REQUIRE(error);
  CHECK(error->status == 500);
  CHECK(error->body.size() == max_error_body_bytes);
  CHECK(collected.lines.empty());
}

TEST_CASE("a stream's error status comes with its body", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  TestServer server(replies([](const ReceivedRequest&) { return answer(410, "{\"kind\":\"Status\"}\n"); }));
  Collected collected;
  const auto response = make(library, server)->stream(get(), collected.sink, never);
  REQUIRE(response);
  CHECK(response->status == 410);
  CHECK(response->body == "{\"kind\":\"Status\"}\n");
  CHECK(collected.lines.empty());
}

TEST_CASE("nobody there", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  int port;
  {
    TestServer gone([](Connection&) {});
    port = gone.port();
  }
  const auto response =
      make(library, credentials_for("http://127.0.0.1:" + std::to_string(port)))->send(get(), never);
  REQUIRE_FALSE(response);
  CHECK(response.error().kind == ErrorKind::Transport);
  CHECK_THAT(response.error().message, Catch::StartsWith("connect: "));
}

TEST_CASE("cut before the answer", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  TestServer server([](Connection& connection) { connection.read_request(); });
  auto transport = make(library, server);
  for (const auto& request : {get(), post("{}")}) {
    const auto response = transport->send(request, never);
    REQUIRE_FALSE(response);
    CHECK(response.error().kind == ErrorKind::Transport);
    CHECK_THAT(response.error().message, Catch::StartsWith("headers: "));
  }
  CHECK(server.requests().size() == 2);
}

// A story: a pooled connection dies after the write was received. Both libraries would send it again by
// themselves.
TEST_CASE("a write on a pooled connection that dies is sent once", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  const std::string method = GENERATE("POST", "PUT", "PATCH", "DELETE");
  const bool hard = GENERATE(false, true);
  const bool with_body = GENERATE(true, false);
  if (!with_body && method != "DELETE") return;
  TestServer server([&](Connection& connection) {
    while (auto request = connection.read_request()) {
      if (request->method != "GET") {
        if (hard) connection.reset();
        return;
      }
      connection.write(answer(200, "{}"));
    }
  });
  auto transport = make(library, server);
  REQUIRE(transport->send(get(), never));
  auto request = post(with_body ? "{\"name\":\"once\"}" : "");
  request.method = method;
  const auto response = transport->send(request, never);
  REQUIRE_FALSE(response);
  CHECK(response.error().kind == ErrorKind::Transport);
  size_t writes = 0;
  for (const auto& got : server.requests()) writes += got.method != "GET";
  CHECK(writes == 1);
  CHECK(transport->send(get(), never));
}

TEST_CASE("a GET on a pooled connection that died meanwhile works", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  TestServer server([](Connection& connection) {
    if (connection.read_request()) connection.write(answer(200, "{}"));
  });
  auto transport = make(library, server);
  for (int i = 0; i < 3; ++i) {
    REQUIRE(transport->send(get(), never));
    std::this_thread::sleep_for(30ms);
  }
  CHECK(server.requests().size() == 3);
}

TEST_CASE("TLS: our CA is trusted and no other", "[kube][transport][tls]") {
  FOR_BOTH_LIBRARIES();
  const KeyPair ca = make_ca("cluster CA"), other = make_ca("another CA");
  TestServer server(replies([](const ReceivedRequest&) { return answer(200, "{}"); }),
                    ServerTls{issue(ca, "server"), ""});
  const auto good = make(library, credentials_for(server.url(), ca.cert))->send(get(), never);
  REQUIRE(good);
  CHECK(good->status == 200);
  const auto both =
      make(library, credentials_for(server.url("localhost"), other.cert + ca.cert))->send(get(), never);
  CHECK(both);
  const auto wrong = make(library, credentials_for(server.url(), other.cert))->send(get(), never);
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().kind == ErrorKind::Transport);
  CHECK_THAT(wrong.error().message, Catch::StartsWith("connect: "));
  const auto system = make(library, credentials_for(server.url()))->send(get(), never);
  REQUIRE_FALSE(system);
}

TEST_CASE("TLS: the name must match", "[kube][transport][tls]") {
  FOR_BOTH_LIBRARIES();
  const KeyPair ca = make_ca("cluster CA");
  TestServer server(replies([](const ReceivedRequest&) { return answer(200, "{}"); }),
                    ServerTls{issue(ca, "server", "DNS:api.example,IP:10.0.0.1"), ""});
  CHECK_FALSE(make(library, credentials_for(server.url(), ca.cert))->send(get(), never));
  CHECK_FALSE(make(library, credentials_for(server.url("localhost"), ca.cert))->send(get(), never));
  Config config;
  config.server = server.url();
  config.ca.data = ca.cert;
  config.tls_server_name = "api.example";
  CHECK(make(library, std::make_shared<Credentials>(config))->send(get(), never));
  config.tls_server_name = "other.example";
  CHECK_FALSE(make(library, std::make_shared<Credentials>(config))->send(get(), never));
  config.tls_server_name = "";
  config.ca.data = "";
  config.insecure_skip_tls_verify = true;
  CHECK(make(library, std::make_shared<Credentials>(config))->send(get(), never));
}

TEST_CASE("TLS: the client certificate is shown, and a new one after it changed", "[kube][transport][tls]") {
  FOR_BOTH_LIBRARIES();
  const KeyPair ca = make_ca("cluster CA"), users = make_ca("users CA");
  TestServer server(
      [](Connection& connection) {
        while (connection.read_request()) connection.write(answer(200, connection.client_name()));
      },
      ServerTls{issue(ca, "server"), users.cert});
  char folder[] = "/tmp/kube-test-XXXXXX";
  REQUIRE(::mkdtemp(folder));
  const std::filesystem::path dir(folder);
  const auto write_file = [&](const char* name, const std::string& text) {
    FILE* f = fopen((dir / name).c_str(), "w");
    fputs(text.c_str(), f);
    fclose(f);
  };
  const KeyPair first = issue(users, "first"), second = issue(users, "second");
  write_file("cert", first.cert);
  write_file("key", first.key);
  Config config;
  config.server = server.url();
  config.ca.data = ca.cert;
  config.client_cert.file = dir / "cert";
  config.client_key.file = dir / "key";
  CredentialTimes at_once;
  at_once.file_check = 0ms;
  auto transport = make(library, std::make_shared<Credentials>(config, at_once));
  const auto name = [&] {
    const auto response = transport->send(get(), never);
    REQUIRE(response);
    return response->body;
  };
  CHECK(name() == "first");
  write_file("cert", second.cert);
  CHECK(name() == "first");  // the key is not there yet
  write_file("key", second.key);
  CHECK(name() == "second");
  std::filesystem::remove_all(dir);
}

TEST_CASE("an IPv6 server works or says what does", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  auto credentials = credentials_for("http://[::1]:1");
  if (library == Library::Curl) {
    const auto response = make_curl_transport(credentials)->send(get(), never);
    REQUIRE_FALSE(response);
    CHECK_THAT(response.error().message, Catch::StartsWith("connect: "));
  } else {
    const auto made = make_cpprest_transport(credentials);
    REQUIRE_FALSE(made);
    CHECK_THAT(made.error().message, Catch::Contains("--http-client=curl"));
  }
}

TEST_CASE("a header with a line break is refused", "[kube][transport]") {
  FOR_BOTH_LIBRARIES();
  TestServer server(replies([](const ReceivedRequest&) { return answer(200, "{}"); }));
  auto request = get();
  request.headers.emplace_back("X-A", "b\r\nX-Evil: yes");
  const auto response = make(library, server)->send(request, never);
  REQUIRE_FALSE(response);
  CHECK(response.error().kind == ErrorKind::Invalid);
  auto spaced = get("/a b");
  CHECK_FALSE(make(library, server)->send(spaced, never));
  CHECK(server.requests().empty());
}

TEST_CASE("lines: the splitter is the same whatever the cuts", "[kube]") {
  std::vector<std::string> lines;
  const LineSink sink = [&](std::string_view line) { return lines.emplace_back(line), true; };
  LineSplitter splitter(sink, 10);
  CHECK(splitter.feed("ab\ncd") == LineSplitter::Fed::More);
  CHECK(splitter.inside_line());
  CHECK(splitter.feed("\n") == LineSplitter::Fed::More);
  CHECK_FALSE(splitter.inside_line());
  CHECK(splitter.feed("0123456789\n") == LineSplitter::Fed::More);
  CHECK(lines == std::vector<std::string>{"ab", "cd", "0123456789"});
  CHECK(splitter.feed("01234") == LineSplitter::Fed::More);
  CHECK(splitter.feed("567890") == LineSplitter::Fed::TooLong);
}

// A story: after a busy minute the pool kept its connections for good, since nothing counted how long they
// had been idle.
TEST_CASE("idle connections: the newest is used again, and what was not used for long is let go", "[kube]") {
  struct Counted {
    explicit Counted(int& alive) : alive_(alive) { ++alive_; }
    ~Counted() { --alive_; }
    int& alive_;
  };
  int alive = 0;
  const auto start = steady_clock::now();
  IdlePool<Counted> pool(3, 30s);
  CHECK(pool.take(start) == nullptr);
  for (int i = 0; i < 4; ++i) pool.give_back(std::make_unique<Counted>(alive), start + i * 1s);
  CHECK(alive == 3);
  auto used = pool.take(start + 20s);
  REQUIRE(used);
  pool.give_back(std::move(used), start + 21s);
  CHECK(alive == 3);
  used = pool.take(start + 40s);
  CHECK(alive == 1);
  CHECK(pool.take(start + 40s) == nullptr);
  pool.give_back(std::move(used), start + 40s);
  pool.let_go(start + 69s);
  CHECK(alive == 1);
  pool.let_go(start + 71s);  // nobody takes or gives back any more
  CHECK(alive == 0);
}

TEST_CASE("the plain transport: schemes, redirects, downloads", "[kube][transport]") {
  TestServer server(replies([](const ReceivedRequest& r) {
    if (r.target == "/moved") return answer(302, "", "Location: /data\r\n");
    if (r.target == "/file") return answer(302, "", "Location: file:///etc/passwd\r\n");
    return answer(200, std::string(200'000, 'd'));
  }));
  auto plain = make_plain_curl_transport({});
  for (const char* bad :
       {"file:///etc/passwd", "ftp://127.0.0.1/x", "/x", "gopher://127.0.0.1/", "http:///x", ""}) {
    CAPTURE(bad);
    CHECK_FALSE(plain->send(get(bad), never));
  }
  CHECK(plain->send(get(server.url() + "/moved"), never)->status == 302);
  PlainOptions follow;
  follow.max_redirects = 3;
  auto following = make_plain_curl_transport(follow);
  size_t bytes = 0;
  const ChunkSink count = [&](std::string_view piece) { return bytes += piece.size(), true; };
  const auto moved = following->download(get(server.url() + "/moved"), count, never);
  REQUIRE(moved);
  CHECK(bytes == 200'000);
  CHECK_FALSE(following->download(get(server.url() + "/file"), count, never));
  auto small = get(server.url() + "/data");
  small.max_body = 100'000;
  const auto refused = plain->download(small, count, never);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::Malformed);
  const auto ended = plain->download(
      get(server.url() + "/data"), [](std::string_view) { return false; }, never);
  REQUIRE_FALSE(ended);
  CHECK(ended.error().kind == ErrorKind::Cancelled);
}

TEST_CASE("the plain transport: credentials go to no other host or port", "[kube][transport]") {
  const KeyPair ca = make_ca("the CA of both");
  const auto echo = [](const ReceivedRequest& r) {
    const auto header = r.headers.find("authorization");
    return answer(200, header == r.headers.end() ? "none" : header->second);
  };
  TestServer elsewhere(replies(echo), ServerTls{issue(ca, "elsewhere"), ""});
  std::string away = elsewhere.url() + "/data";
  TestServer store(replies([&](const ReceivedRequest& r) {
                     if (r.target == "/away") return answer(302, "", "Location: " + away + "\r\n");
                     if (r.target == "/here") return answer(307, "", "Location: /data\r\n");
                     return echo(r);
                   }),
                   ServerTls{issue(ca, "store"), ""});
  const std::string ca_file = std::filesystem::temp_directory_path() / ("ca-" + std::to_string(store.port()) + ".crt");
  std::ofstream(ca_file) << ca.cert;
  PlainOptions follow;
  follow.max_redirects = 3;
  follow.ca_file = ca_file;
  auto plain = make_plain_curl_transport(follow);
  const auto fetched = [&](const std::string& path) {
    HttpRequest request = get(store.url() + path);
    request.headers.emplace_back("Authorization", "Bearer secret");
    std::string body;
    const auto done = plain->download(request, [&](std::string_view piece) { return body += piece, true; }, never);
    INFO((done ? "" : done.error().message));
    REQUIRE(done);
    return body;
  };
  CHECK(fetched("/data") == "Bearer secret");
  CHECK(fetched("/here") == "Bearer secret");
  CHECK(fetched("/away") == "none");
  away = elsewhere.url("localhost") + "/data";
  CHECK(fetched("/away") == "none");
  std::filesystem::remove(ca_file);
}

}  // namespace
}  // namespace mo::kube::test
