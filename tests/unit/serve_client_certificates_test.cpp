// What our own server makes of callers' certificates.
#include <catch2/catch.hpp>
#include <fstream>

#include "operator/kube/credentials.h"
#include "operator/kube/transport.h"
#include "operator/serve/http_server.h"
#include "tests/unit/kube_test_server.h"
#include "tests/unit/temp_dir.h"

using namespace mo;
using namespace mo::serve;
using Catch::Matchers::Contains;
using kube::test::issue;
using kube::test::KeyPair;
using kube::test::make_ca;

namespace {

// Answers with what the server knows of its caller.
struct Site {
  TempDir dir;
  KeyPair ca = make_ca("site CA"), clients = make_ca("proxies CA"), other = make_ca("another CA");
  std::chrono::steady_clock::time_point now{};
  std::string told_problem;
  std::unique_ptr<HttpServer> server;

  explicit Site(const std::function<void(const Site&)>& before) : Site(true, before) {}
  explicit Site(bool asks_clients = true, const std::function<void(const Site&)>& before = {}) {
    identity(issue(ca, "site"));
    write("clients.crt", clients.cert);
    if (before) before(*this);
    auto read = CertificateFiles::open(files(asks_clients), [this](const std::string& problem) { told_problem = problem; }, [this] { return now; });
    REQUIRE(read);
    auto started = HttpServer::start({"127.0.0.1", 0}, [](Request request, std::function<void(Reply)> answer) {
      std::string text = request.certificate.holds() ? "holds" : request.certificate.shown ? "shown: " + request.certificate.problem : "none";
      for (const std::string& name : request.certificate.names) text += "|" + name;
      for (const auto& [name, value] : request.headers)
        if (name == "X-One") text += "|" + value;
      answer({200, "text/plain", text});
    }, Limits{}, [files = std::shared_ptr<CertificateFiles>(std::move(*read))] { return files->current(); });
    REQUIRE(started);
    server = std::move(*started);
  }
  TlsFiles files(bool asks_clients) const {
    return {(dir.path / "tls.crt").string(), (dir.path / "tls.key").string(), asks_clients ? (dir.path / "clients.crt").string() : ""};
  }
  void write(const std::string& name, const std::string& text) const { std::ofstream(dir.path / name) << text; }
  void identity(const KeyPair& pair) const {
    write("tls.crt", pair.cert);
    write("tls.key", pair.key);
  }

  Result<kube::HttpResponse> get(const std::optional<KeyPair>& client = {}, const std::string& trusted = "") const {
    kube::Config config;
    config.server = "https://127.0.0.1:" + std::to_string(server->port());
    config.ca.data = trusted.empty() ? ca.cert : trusted;
    if (client) config.client_cert.data = client->cert, config.client_key.data = client->key;
    kube::HttpRequest request;
    request.method = "GET";
    request.target = "/";
    request.headers = {{"X-One", "1"}, {"X-One", "2"}};
    return kube::make_curl_transport(std::make_shared<kube::Credentials>(config))->send(request, {});
  }
  std::string told(const std::optional<KeyPair>& client) const {
    const auto response = get(client);
    REQUIRE(response);
    return response->body;
  }
};

}  // namespace

TEST_CASE("a server with TLS knows what its caller's certificate says, and lets in who has none", "[serve][tls]") {
  const Site site;
  CHECK(site.told({}) == "none|1|2");
  CHECK(site.told(issue(site.clients, "proxy", "DNS:proxy.svc,URI:spiffe://x/proxy,IP:10.0.0.1")) == "holds|proxy|proxy.svc|spiffe://x/proxy|1|2");
  // The same name from another authority, or by nobody's authority at all.
  CHECK_THAT(site.told(issue(site.other, "proxy")), Contains("shown: ") && Contains("|proxy|"));
  CHECK_THAT(site.told(make_ca("proxy")), Contains("shown: "));
  const Site open(false);
  CHECK(open.told(issue(open.clients, "proxy")) == "none|1|2");  // not asked for
}

TEST_CASE("a server's certificate is read again, and one that cannot be used changes nothing", "[serve][tls]") {
  Site site;
  CHECK_FALSE(site.get({}, site.other.cert));
  site.identity(issue(site.other, "site"));
  site.now += std::chrono::seconds(2);
  CHECK(site.get({}, site.other.cert));
  CHECK_FALSE(site.get({}));
  site.write("tls.key", issue(site.other, "site").key);  // not of that certificate
  site.now += std::chrono::seconds(2);
  CHECK(site.get({}, site.other.cert));
  CHECK_THAT(site.told_problem, Contains("tls.key"));
}

TEST_CASE("files that are no certificates are named", "[serve][tls]") {
  for (const char* name : {"tls.crt", "tls.key", "clients.crt"}) {
    const Site fresh;
    fresh.write(name, "no PEM");
    const auto read = CertificateFiles::open(fresh.files(true), {});
    REQUIRE_FALSE(read);
    CHECK(read.error().kind == ErrorKind::Invalid);
    CHECK_THAT(read.error().message, Contains(name));
  }
  CHECK_FALSE(CertificateFiles::open({"/none", "/none", ""}, {}));
}

TEST_CASE("who speaks no TLS to a server with TLS is told nothing else, and others do", "[serve][tls]") {
  const Site site;
  kube::Config config;
  config.server = "http://127.0.0.1:" + std::to_string(site.server->port());
  kube::HttpRequest request;
  request.method = "GET";
  request.target = "/";
  const auto plain = kube::make_curl_transport(std::make_shared<kube::Credentials>(config))->send(request, {});
  CHECK((!plain || plain->status == 400));
  CHECK(site.get());
}

// Else the root had to be named, and all that it signs could name anybody.
TEST_CASE("an intermediate authority counts, and not its root's others", "[serve][tls]") {
  const KeyPair root = make_ca("root"), proxies = make_ca("proxies", &root), others = make_ca("others", &root);
  const Site site([&](const Site& s) { s.write("clients.crt", proxies.cert); });
  CHECK_THAT(site.told(issue(proxies, "proxy", "DNS:proxy")), Contains("holds|proxy"));
  CHECK_THAT(site.told(issue(others, "proxy", "DNS:proxy")), Contains("shown: "));
}

TEST_CASE("a bundle whose second authority is cut off is refused", "[serve][tls]") {
  const Site site;
  site.write("clients.crt", site.clients.cert + site.other.cert.substr(0, site.other.cert.size() / 2));
  const auto read = CertificateFiles::open(site.files(true), {});
  REQUIRE_FALSE(read);
  CHECK_THAT(read.error().message, Contains("clients.crt"));
}

TEST_CASE("a certificate counts no longer than its authority does, on a connection of before, too", "[serve][tls]") {
  Site site;
  kube::Config config;
  config.server = "https://127.0.0.1:" + std::to_string(site.server->port());
  config.ca.data = site.ca.cert;
  const KeyPair client = issue(site.clients, "proxy", "DNS:proxy");
  config.client_cert.data = client.cert, config.client_key.data = client.key;
  const auto transport = kube::make_curl_transport(std::make_shared<kube::Credentials>(config));
  kube::HttpRequest request;
  request.method = "GET";
  request.target = "/";
  const auto ask = [&] { return transport->send(request, {}).value().body; };
  CHECK_THAT(ask(), Contains("holds|proxy"));
  site.write("clients.crt", site.other.cert);
  site.now += std::chrono::seconds(2);
  CHECK_THAT(ask(), Contains("certificates have changed since this connection began"));
  CHECK_THAT(ask(), Contains("shown: ") && !Contains("certificates have changed"));  // on a connection of its own
}
