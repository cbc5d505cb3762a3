// HTTPS of the small HTTP server: what is shown, what is refused, and how a certificate is replaced.
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "operator/serve/http_server.h"
#include "operator/serve/tls.h"

using namespace mo;
using namespace mo::serve;
using namespace std::chrono_literals;
using Catch::Contains;
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

const TimePoint kNow = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());

struct Client {
  asio::io_context io;
  asio::ssl::context context{asio::ssl::context::tls_client};
  std::optional<asio::ssl::stream<tcp::socket>> stream;

  // Empty if the certificate is trusted and for localhost, else why not.
  std::string connect(uint16_t port, const std::string& trusted = "", int newest = TLS1_3_VERSION) {
    SSL_CTX_set_max_proto_version(context.native_handle(), newest);
    if (!trusted.empty()) {
      context.set_verify_mode(asio::ssl::verify_peer);
      context.add_certificate_authority(asio::buffer(trusted));
      context.set_verify_callback(asio::ssl::host_name_verification("localhost"));
    }
    stream.emplace(io, context);
    stream->next_layer().connect({asio::ip::address_v4::loopback(), port});
    error_code error;
    stream->handshake(asio::ssl::stream_base::client, error);
    return error ? error.message() : "";
  }

  // Until the server closes.
  std::string ask(const std::string& request) {
    error_code error;
    asio::write(*stream, asio::buffer(request), error);
    std::string answer;
    asio::read(*stream, asio::dynamic_buffer(answer), error);
    return answer;
  }
};

const std::string kAsk = "GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n";

std::string plainly(uint16_t port, const std::string& request) {
  asio::io_context io;
  tcp::socket socket(io);
  socket.connect({asio::ip::address_v4::loopback(), port});
  asio::write(socket, asio::buffer(request));
  std::string answer;
  error_code error;
  asio::read(socket, asio::dynamic_buffer(answer), error);
  return answer;
}

std::unique_ptr<HttpServer> server(Tls tls, Limits limits = {}) {
  const auto answer = [](std::string_view path) { return Reply{200, "text/plain", std::string(path) + std::string(100'000, 'x')}; };
  auto started = HttpServer::start({"127.0.0.1", 0}, answer, limits, {}, std::move(tls));
  REQUIRE(started);
  return std::move(*started);
}

Tls always(const Certificate& certificate) {
  auto context = make_context(certificate);
  REQUIRE(context);
  return [context = *context] { return context; };
}

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "serve-tls-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()));
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }
  void put(const std::string& name, const std::string& text) const { std::ofstream(path_ / name) << text; }
  void put(const Certificate& certificate) const {
    put("tls.crt", certificate.chain);
    put("tls.key", certificate.key);
  }

 private:
  std::filesystem::path path_;
};

}  // namespace

TEST_CASE("serve: by HTTPS an answer comes whole, also the second on a connection") {
  const Certificate own = self_signed(kNow);
  const auto it = server(always(own));
  Client client;
  CHECK(client.connect(it->port(), own.chain) == "");
  const std::string two = client.ask("GET /one HTTP/1.1\r\n\r\nGET /two HTTP/1.1\r\nConnection: close\r\n\r\n");
  CHECK_THAT(two, Contains("\r\n\r\n/onexxx") && Contains("\r\n\r\n/twoxxx"));
  CHECK(two.size() > 200'000);
}

TEST_CASE("serve: each certificate that it signs itself is another one, and no authority") {
  const Certificate own = self_signed(kNow), other = self_signed(kNow);
  CHECK(own.key != other.key);
  const auto it = server(always(own));
  CHECK_THAT(Client().connect(it->port(), other.chain), Contains("certificate verify failed"));
  const Certificate over = self_signed(kNow - 24h * 3660);
  const auto old = server(always(over));
  CHECK_THAT(Client().connect(old->port(), over.chain), Contains("certificate verify failed"));
}

TEST_CASE("serve: nothing older than TLS 1.2, and who speaks plain HTTP is told so") {
  const auto it = server(always(self_signed(kNow)));
  CHECK(Client().connect(it->port(), "", TLS1_2_VERSION) == "");
  CHECK(Client().connect(it->port(), "", TLS1_1_VERSION) != "");
  CHECK_THAT(plainly(it->port(), kAsk), Contains("HTTP/1.1 400") && Contains("this port speaks HTTPS"));
  CHECK(plainly(it->port(), "no handshake at all\r\n").find("HTTP/") == std::string::npos);
  Client client;
  CHECK(client.connect(it->port()) == "");
  CHECK_THAT(client.ask(kAsk), Contains("HTTP/1.1 200"));
}

TEST_CASE("serve: those who connect and shake no hands give way, and have a deadline") {
  const auto it = server(always(self_signed(kNow)));
  asio::io_context io;
  std::vector<tcp::socket> silent;
  for (int i = 0; i < 100; ++i) silent.emplace_back(io).connect({asio::ip::address_v4::loopback(), it->port()});
  Client client;
  CHECK(client.connect(it->port()) == "");
  CHECK_THAT(client.ask(kAsk), Contains("HTTP/1.1 200"));
  Limits limits;
  limits.idle = 50ms;
  const auto hasty = server(always(self_signed(kNow)), limits);
  tcp::socket socket(io);
  socket.connect({asio::ip::address_v4::loopback(), hasty->port()});
  char byte;
  error_code error;
  socket.read_some(asio::buffer(&byte, 1), error);
  CHECK(error);
}

TEST_CASE("serve: a pair that does not fit, or cannot be read, is no certificate") {
  const Certificate own = self_signed(kNow), other = self_signed(kNow);
  const auto said = [](const Certificate& certificate) {
    const auto context = make_context(certificate);
    return context ? std::string() : context.error().message;
  };
  CHECK(said(own) == "");
  CHECK_THAT(said({own.chain, other.key}), Contains("the key is not the private key of the certificate"));
  CHECK_THAT(said({"none", own.key}), Contains("there is no certificate in PEM"));
  CHECK_THAT(said({own.chain, ""}), Contains("the key"));
  CHECK_THAT(said({own.chain, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGb\n-----END ENCRYPTED PRIVATE KEY-----\n"}), Contains("without a passphrase"));
}

TEST_CASE("serve: a folder's certificate is replaced when its files change, and by nothing that cannot be used") {
  const Folder folder;
  auto clock = std::make_shared<std::chrono::steady_clock::time_point>(1h);
  std::vector<std::string> told;
  const auto open = [&] {
    return CertificateFiles::open(CertificateFiles::in(folder.path()), [&](const std::string& problem) { told.push_back(problem); }, [clock] { return *clock; });
  };
  const auto absent = open();
  REQUIRE_FALSE(absent);
  CHECK(absent.error().message == "cannot read " + (folder.path() / "tls.crt").string());
  const Certificate first = self_signed(kNow), second = self_signed(kNow);
  folder.put(first);
  auto certificates = open();
  REQUIRE(certificates);
  const auto it = server([&] { return (*certificates)->current(); });
  CHECK(Client().connect(it->port(), first.chain) == "");

  SECTION("renewed") {
    folder.put(second);
    CHECK(Client().connect(it->port(), first.chain) == "");  // it looks once a second
    *clock += 1s;
    CHECK(Client().connect(it->port(), second.chain) == "");
    CHECK(Client().connect(it->port(), first.chain) != "");
    CHECK(told.empty());
  }
  SECTION("half renewed, gone, and there again") {
    folder.put("tls.crt", second.chain);
    for (int i = 0; i < 3; ++i) {
      *clock += 1s;
      CHECK(Client().connect(it->port(), first.chain) == "");
    }
    REQUIRE(told.size() == 1);
    CHECK_THAT(told[0], Contains(folder.path().string()) && Contains("the key is not the private key"));
    std::filesystem::remove(folder.path() / "tls.key");
    *clock += 1s;
    CHECK(Client().connect(it->port(), first.chain) == "");
    CHECK(told.size() == 2);
    folder.put(second);
    *clock += 1s;
    CHECK(Client().connect(it->port(), second.chain) == "");
    CHECK(told.size() == 2);
  }
  SECTION("a file of any size") {
    folder.put("tls.crt", std::string(1 << 20, 'x'));
    *clock += 1s;
    CHECK(Client().connect(it->port(), first.chain) == "");
    REQUIRE(told.size() == 1);
    CHECK_THAT(told[0], Contains("longer than 256 KiB"));
  }
}
