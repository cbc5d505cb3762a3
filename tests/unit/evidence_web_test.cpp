// One number out of what a stranger's web service answers.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "operator/evidence/web.h"

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
  CHECK_THAT(value(json, "ok"), Contains("no number"));
  CHECK_THAT(value(json, "data"), Contains("no number"));
  CHECK_THAT(value("<html>", ""), Contains("not JSON"));
  CHECK_THAT(value(R"({"a": "NaN"})", "a"), Contains("no number"));
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
  CHECK(value(R"({"data": {"password": "s3cret"}})", "data.password") == "no: what the answer has at data.password is no number, but a text of 6 bytes");
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
  const Web web(server, {});
  const auto problem = [&] { return web.get({"http://audit.example/x", "score"}, {}).problem; };
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
  CHECK_THAT(web.get({"file:///etc/passwd", ""}, {}).problem, Contains("http://"));
}

TEST_CASE("a token goes to its own server alone, and by https alone", "[evidence]") {
  const auto folder = std::filesystem::temp_directory_path() / ("tokens" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "audit.example") << "secret\n";
  std::ofstream(folder / "audit.example:8443") << "other";
  Server server;
  const Web web(server, folder);
  const auto sent = [&](const std::string& url) {
    web.get({url, ""}, {});
    return server.token();
  };
  CHECK(sent("https://audit.example/x") == "Bearer secret");
  CHECK(sent("https://audit.example:8443/x") == "Bearer other");
  CHECK(sent("https://me@audit.example?x") == "Bearer secret");
  CHECK(sent("http://audit.example/x") == "");
  CHECK(sent("https://evil.example/audit.example") == "");
  CHECK(sent("https://..%2faudit.example/") == "");
  CHECK(sent("https://audit.example@evil.example/") == "");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace mo::evidence
