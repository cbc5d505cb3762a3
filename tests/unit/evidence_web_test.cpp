// One number out of what a stranger's web service answers.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "operator/evidence/web.h"
#include "tests/unit/kube_test_server.h"

namespace mo::evidence {
namespace {

using Catch::Matchers::Contains;

std::string value(std::string_view json, const std::string& path) {
  const Reading reading = value_at(json, path);
  return reading.value ? reading.value->to_string() : "no: " + reading.problem;
}

TEST_CASE("a number is found by its path", "[evidence]") {
  const char* json = R"({"data": {"results": [{"accuracy": 0.931}, {"accuracy": "0.94"}]}, "ok": true, "deep": [[1, 2], [3]]})";
  CHECK(value(json, "data.results[0].accuracy") == "0.931");
  CHECK(value(json, "data.results[1].accuracy") == "0.94");
  CHECK(value(json, "deep[0][1]") == "2");
  CHECK(value("0.5", "") == "0.5");
  CHECK(value("[7]", "[0]") == "7");
  CHECK_THAT(value(json, "data.results[2].accuracy"), Contains("nothing at data.results[2].accuracy"));
  CHECK_THAT(value(json, "data.absent"), Contains("nothing at data.absent"));
  CHECK_THAT(value(json, "data[0]"), Contains("nothing at"));
  CHECK_THAT(value(json, "ok"), Contains("not a number"));
  CHECK_THAT(value(json, "data"), Contains("not a number"));
  CHECK_THAT(value("<html>", ""), Contains("not JSON"));
  CHECK_THAT(value(R"({"a": "NaN"})", "a"), Contains("not a number"));
  for (const char* path : {"[", "[x", "[1", ".", "a..b", "[99999999999999999999]"}) CHECK_THAT(value(json, path), Contains("nothing at"));
}

// By the square of its length this would take hours.
TEST_CASE("the longest list is read in time that its length asks for", "[evidence]") {
  std::string list = "[{}";
  for (int i = 0; i < 300'000; ++i) list += ",{}";
  CHECK(value(list + ",5]", "[300001]") == "5");
  CHECK_THAT(value(std::string(100'000, '['), ""), Contains("not JSON"));
}

// Whoever may write a Model read in its status what the operator's token may see of a server.
TEST_CASE("of an answer that is no number its kind is told and none of its words", "[evidence]") {
  CHECK(value(R"({"data": {"password": "s3cret"}})", "data.password") == "no: the value of the answer at data.password is not a number but a text of 6 bytes");
  for (const char* path : {"", "data", "data.absent", "data[0]"}) CHECK_THAT(value(R"({"data": {"password": "s3cret"}})", path), !Contains("s3cret") && !Contains("password"));
  CHECK_THAT(value("root:s3cret", ""), Contains("not JSON") && !Contains("s3cret"));
}

// Answers everything alike, and remembers what it was asked.
struct Server : kube::HttpTransport {
  Result<kube::HttpResponse> send(const kube::HttpRequest& request, std::stop_token) override {
    asked = request;
    return answer;
  }
  Result<kube::HttpResponse> stream(const kube::HttpRequest&, const kube::LineSink&, std::stop_token) override {
    return fail(ErrorKind::Invalid, "not here");
  }
  kube::HttpRequest asked;
  Result<kube::HttpResponse> answer = kube::HttpResponse{200, {}, R"({"score": 0.75})"};
  std::string token() const {
    for (const auto& [name, text] : asked.headers)
      if (name == "Authorization") return text;
    return "";
  }
};

TEST_CASE("what a web service may do wrong is said", "[evidence]") {
  Server server;
  const Web web(server, {}, {});
  const auto problem = [&] { return web.get("ns", {"http://audit.example/x", "score"}, {}).problem; };
  CHECK(problem().empty());
  CHECK(server.asked.max_body == 1u << 20);
  server.answer = kube::HttpResponse{302, {}, ""};
  CHECK_THAT(problem(), Contains("redirect"));
  server.answer = kube::HttpResponse{500, {}, "boom"};
  CHECK_THAT(problem(), Contains("500") && !Contains("boom"));
  server.answer = fail(ErrorKind::Malformed, "body: longer than 1048576 bytes");
  CHECK_THAT(problem(), Contains("longer than"));
  server.answer = fail(ErrorKind::Transport, "headers: no complete answer within 10s");
  CHECK_THAT(problem(), Contains("no complete answer"));
  CHECK_THAT(web.get("ns", {"file:///etc/passwd", ""}, {}).problem, Contains("http://"));
}

struct Tokens {
  Tokens() { std::filesystem::create_directories(folder); }
  ~Tokens() { std::filesystem::remove_all(folder); }
  void put(const std::string& name, const std::string& text) const { std::ofstream(folder / name) << text; }
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / ("tokens" + std::to_string(::getpid()));
};

// Whoever could write a Model in any namespace once had the operator's token sent to any path of that host.
TEST_CASE("a token goes from its own namespace to its own server alone, and by https alone", "[evidence]") {
  const Tokens tokens;
  tokens.put("pay_audit.example", "secret\n");
  tokens.put("pay_audit.example_8443", "other");
  tokens.put("_audit.example", "everybody's");
  tokens.put("audit.example", "of a version before");
  Server server;
  const Web web(server, tokens.folder, {});
  const auto sent = [&](const std::string& url, const std::string& ns = "pay", bool of_cluster = false) {
    server.asked = {};
    web.get(ns, {url, "", of_cluster}, {});
    return server.token();
  };
  CHECK(sent("https://audit.example/x") == "Bearer secret");
  CHECK(sent("https://Audit.Example:443/x") == "Bearer secret");
  CHECK(sent("https://audit.example:8443/x") == "Bearer other");
  CHECK(sent("https://audit.example/x", "other") == "");
  CHECK(sent("https://audit.example/x", "") == "Bearer everybody's");  // no Model is in no namespace
  CHECK(sent("http://audit.example/x") == "");
  CHECK(sent("https://evil.example/audit.example") == "");
  // A cluster's gate sends the cluster's, whoever's Model it is for.
  CHECK(sent("https://audit.example/x", "pay", true) == "Bearer everybody's");
  CHECK(sent("https://audit.example/x", "other", true) == "Bearer everybody's");
  CHECK(sent("https://audit.example:8443/x", "pay", true) == "");
  for (const char* url : {"https://..%2faudit.example/", "https://me@audit.example?x", "https://audit.example@evil.example/",
                          "https://evil.example\\@audit.example/", "https://audit_example/", "https://audit.example:99999999/", "https:///x"}) {
    INFO(url);
    CHECK(sent(url) == "");
    CHECK(server.asked.target.empty());
    CHECK_THAT(web.get("pay", {url, ""}, {}).problem, Contains("the url must"));
  }
}

TEST_CASE("a token's file names namespace, host and port, and nothing that could be another's", "[evidence]") {
  const auto name = [](const std::string& ns, const std::string& url) { return token_name(ns, *web_origin(url)); };
  CHECK(name("pay", "https://audit.example/x") == "pay_audit.example");
  CHECK(name("pay", "https://audit.example:8443") == "pay_audit.example_8443");
  CHECK(name("", "https://audit.example") == "_audit.example");
  CHECK(name("audit", "https://443/") != name("", "https://audit:443/"));
  for (const char* good : {"pay_audit.example", "_audit.example", "_audit.example_8443", "a-b_c_1"}) CHECK(is_token_name(good));
  for (const char* bad : {"audit.example", "audit.example:8443", "", "_", "pay_", "Pay_audit", "..data"}) CHECK_FALSE(is_token_name(bad));
}

std::string refusal(const WebAccess& access, const std::string& host, const std::string& address, int port = 80) {
  const std::string by_name = access.refuse_host(host);
  return by_name.empty() ? access.refuse_peer(host, address, port) : by_name;
}

TEST_CASE("web gates go neither to the node itself nor to a cloud's metadata, whatever the host is called", "[evidence]") {
  const WebAccess access;
  for (const char* fine : {"10.96.3.4", "192.168.1.1", "93.184.216.34", "2606:2800:220:1::1", "fd12::1", "64:ff9b::5db8:d822"})
    CHECK(refusal(access, "audit.example", fine).empty());
  const std::pair<const char*, const char*> closed[] = {
      {"127.0.0.1", "loopback"},         {"127.255.0.9", "loopback"},   {"::1", "loopback"},           {"::ffff:127.0.0.1", "loopback"},
      {"64:ff9b::7f00:1", "loopback"},   {"169.254.1.1", "link-local"}, {"169.254.169.254", "metadata"}, {"fe80::1", "link-local"},
      {"fd00:ec2::254", "metadata"},     {"100.100.100.200", "metadata"}, {"0.0.0.0", "unspecified"},  {"::", "unspecified"},
      {"224.0.0.251", "multicast"},      {"ff02::1", "multicast"},      {"255.255.255.255", "reserved"}, {"::ffff:169.254.169.254", "metadata"}};
  for (const auto& [address, what] : closed) {
    INFO(address);
    CHECK_THAT(refusal(access, "audit.example", address), Contains(what) && Contains(address) && Contains("--web-gate-allow"));
  }
}

TEST_CASE("an allow-list names hosts and networks, and only a network opens what is closed", "[evidence]") {
  const auto of = [](const std::vector<std::string>& allowed) {
    const auto access = WebAccess::parse(allowed);
    REQUIRE(access);
    return *access;
  };
  const WebAccess names = of({"audit.example", "*.metrics.example"});
  CHECK(refusal(names, "audit.example", "10.0.0.1").empty());
  CHECK(refusal(names, "a.b.metrics.example", "10.0.0.1").empty());
  CHECK_THAT(refusal(names, "metrics.example", "10.0.0.1"), Contains("--web-gate-allow does not list the host metrics.example"));
  CHECK_THAT(refusal(names, "evilaudit.example", "10.0.0.1"), Contains("does not list"));
  CHECK_THAT(refusal(names, "audit.example", "127.0.0.1"), Contains("loopback"));
  const WebAccess networks = of({"127.0.0.0/8", "10.1.0.0/16", "fd12::/64", "9.9.9.9"});
  CHECK(refusal(networks, "anything", "127.0.0.1").empty());
  CHECK(refusal(networks, "anything", "10.1.255.1").empty());
  CHECK(refusal(networks, "anything", "9.9.9.9").empty());
  CHECK(refusal(networks, "anything", "fd12::7").empty());
  CHECK_THAT(refusal(networks, "anything", "10.2.0.1"), Contains("lists neither the host anything nor its address, 10.2.0.1"));
  CHECK_THAT(refusal(networks, "anything", "fd12:0:0:1::7"), Contains("lists neither"));
  CHECK(refusal(of({"*", "127.0.0.1"}), "anything", "10.2.0.1").empty());
  for (const char* bad : {"", "10.0.0.0/33", "10.0.0/8", "fd12::/129", "http://x", "a b", "*.", "**", "127.0.0.1/8x"}) {
    INFO(bad);
    CHECK_FALSE(WebAccess::parse({bad}));
  }
}

TEST_CASE("the API server is closed to web gates, by name and by address, even where its network is open", "[evidence]") {
  WebAccess access = *WebAccess::parse({"127.0.0.0/8"});
  access.close_server("https://127.0.0.1:6443");
  CHECK_THAT(refusal(access, "kubernetes.default.svc", "127.0.0.1", 6443), Contains("Kubernetes API server"));
  CHECK(refusal(access, "kubernetes.default.svc", "127.0.0.1", 6444).empty());
  access.close_server("https://api.invalid:6443");
  CHECK_THAT(refusal(access, "api.invalid", "10.0.0.1", 6443), Contains("Kubernetes API server"));
}

TEST_CASE("what a host leads to is looked at before it is connected to", "[evidence]") {
  kube::test::TestServer server(kube::test::replies([](const auto&) { return kube::test::answer(200, "0.5"); }));
  const auto http = kube::make_plain_curl_transport({});
  const AskWeb by_name{"http://localhost:" + std::to_string(server.port()) + "/", ""};
  const Reading refused = Web(*http, {}, {}).get("ns", by_name, {});
  CHECK_THAT(refused.problem, Contains("cannot ask localhost: its address, ") && Contains("a loopback address"));
  CHECK(Web(*http, {}, {}).get("ns", {"http://2130706433:" + std::to_string(server.port()) + "/", ""}, {}).value == std::nullopt);
  CHECK(server.connections() == 0);
  // Also where an open connection to it is at hand.
  kube::HttpRequest other;
  other.target = by_name.url;
  REQUIRE(http->send(other, {}));
  CHECK_FALSE(Web(*http, {}, {}).get("ns", by_name, {}).value);
  CHECK(Web(*http, {}, *WebAccess::parse({"127.0.0.0/8", "::1"})).get("ns", by_name, {}).value == Decimal::parse("0.5"));
}

}  // namespace
}  // namespace mo::evidence
