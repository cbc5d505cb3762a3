// What is behind an address outside of the cluster: one word that changes with it.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <filesystem>
#include <fstream>
#include <functional>

#include "operator/core/digest.h"
#include "operator/evidence/outside.h"
#include "tests/unit/temp_dir.h"
#include "tests/unit/kube_test_server.h"

namespace mo::evidence {
namespace {

using Catch::Matchers::Contains;
using kube::HttpRequest;
using kube::HttpResponse;

// Answers by a function, and remembers what it was asked.
struct Place : kube::HttpTransport {
  Result<HttpResponse> send(const HttpRequest& request, std::stop_token) override {
    asked.push_back(request);
    return answer(request);
  }
  Result<HttpResponse> stream(const HttpRequest&, const kube::LineSink&, std::stop_token) override {
    return fail(ErrorKind::Invalid, "");
  }

  std::function<Result<HttpResponse>(const HttpRequest&)> answer;
  std::vector<HttpRequest> asked;
  Web web{*this, {}, {}};
  Outside outside{*this, web};

  std::string look(const AskOutside& question) {
    const auto word = outside.look("ns", question, {});
    return word ? *word : "no: " + word.error().message;
  }
  std::string page() { return look({AskOutside::What::Http, "http://data.example/x", "", ""}); }
  std::string tag() { return look({AskOutside::What::OciTag, "registry.example/team/data:latest", "", ""}); }
  std::string alias() { return look({AskOutside::What::MlflowAlias, "http://mlflow.example", "fraud model", "champion"}); }
  static std::string header(const HttpRequest& request, const std::string& name) {
    for (const auto& [key, value] : request.headers)
      if (key == name) return value;
    return "";
  }
};

TEST_CASE("a page with an ETag is as its ETag says, and is not read", "[evidence]") {
  Place p;
  std::string etag = "\"a\"";
  p.answer = [&](const HttpRequest&) { return HttpResponse{200, {{"etag", etag}}, ""}; };
  const std::string first = p.page();
  CHECK(first.starts_with("etag:"));
  CHECK_THAT(first, !Contains("\"a\""));  // no word of the server's
  CHECK(p.page() == first);
  etag = "W/\"a\"";  // a proxy packs it
  CHECK(p.page() == first);
  etag = "\"b\"";
  CHECK(p.page() != first);
  for (const HttpRequest& request : p.asked) CHECK(request.method == "HEAD");
}

TEST_CASE("a page without an ETag, or of a server that knows no HEAD, is as its bytes are", "[evidence]") {
  Place p;
  int head = 200;
  p.answer = [&](const HttpRequest& r) {
    return r.method == "HEAD" ? HttpResponse{head, {}, ""} : HttpResponse{200, {}, "rows 5"};
  };
  CHECK(p.page() == sha256_of("rows 5"));
  head = 405;
  CHECK(p.page() == sha256_of("rows 5"));
  CHECK(p.asked.back().max_body == 1u << 20);
  p.answer = [&](const HttpRequest& r) -> Result<HttpResponse> {
    if (r.method == "HEAD") return HttpResponse{200, {}, ""};
    return fail(ErrorKind::Malformed, "body: longer than 1048576 bytes");
  };
  CHECK_THAT(p.page(), Contains("longer than") && Contains("without an ETag the response may have at most 1 MiB"));
}

// A HEAD that fails now and then once made another digest, and so a run, of data that had not changed.
TEST_CASE("a server that is away or refuses is told of and changes nothing", "[evidence]") {
  Place p;
  for (const int status : {500, 503, 404, 403}) {
    p.answer = [status](const HttpRequest& r) {
      return r.method == "HEAD" ? HttpResponse{status, {}, "secret words"} : HttpResponse{200, {}, "x"};
    };
    CHECK_THAT(p.page(), Contains("no: data.example answers " + std::to_string(status)) && !Contains("secret"));
    CHECK(p.asked.back().method == "HEAD");
  }
  CHECK_THAT(p.page(), Contains("--web-gate-tokens"));
  p.answer = [](const HttpRequest&) { return HttpResponse{302, {}, ""}; };
  CHECK_THAT(p.page(), Contains("redirect"));
  p.answer = [](const HttpRequest&) { return Result<HttpResponse>(fail(ErrorKind::Transport, "connect: refused")); };
  CHECK(p.page() == "no: cannot reach data.example: connect: refused");
  CHECK_THAT(p.look({AskOutside::What::Http, "file:///etc/passwd", "", ""}), Contains("no: "));
}

TEST_CASE("the rules of web gates hold: closed addresses, the allow-list, tokens by namespace and server", "[evidence]") {
  kube::test::TestServer server(kube::test::replies([](const auto&) { return kube::test::answer(200, "x", "ETag: \"1\"\r\n"); }));
  const auto http = kube::make_plain_curl_transport({});
  const AskOutside here{AskOutside::What::Http, "http://localhost:" + std::to_string(server.port()) + "/", "", ""};
  const Web closed(*http, {}, {});
  const auto refused = Outside(*http, closed).look("ns", here, {});
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, Contains("cannot ask localhost: its address, ") && Contains("a loopback address"));
  CHECK(server.connections() == 0);
  const Web open(*http, {}, *WebAccess::parse({"127.0.0.0/8", "::1"}));
  CHECK(Outside(*http, open).look("ns", here, {})->starts_with("etag:"));

  const auto folder = std::filesystem::temp_directory_path() / ("outside" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "ns_data.example") << "mine\n";
  Place p;
  p.answer = [](const HttpRequest&) { return HttpResponse{200, {{"etag", "\"1\""}}, ""}; };
  const Web with(p, folder, {});
  const Outside outside(p, with);
  CHECK(outside.look("ns", {AskOutside::What::Http, "https://data.example/x", "", ""}, {}));
  CHECK(Place::header(p.asked.back(), "Authorization") == "Bearer mine");
  CHECK(outside.look("other", {AskOutside::What::Http, "https://data.example/x", "", ""}, {}));
  CHECK(Place::header(p.asked.back(), "Authorization") == "");
  CHECK(outside.look("ns", {AskOutside::What::Http, "http://data.example/x", "", ""}, {}));
  CHECK(Place::header(p.asked.back(), "Authorization") == "");
  std::filesystem::remove_all(folder);
}

TEST_CASE("a tag is as the manifest that it names, whether the registry says its digest or not", "[evidence]") {
  Place p;
  const std::string digest = sha256_of("manifest");
  bool says = true;
  p.answer = [&](const HttpRequest& r) {
    CHECK(r.target == "https://registry.example/v2/team/data/manifests/latest");
    CHECK_THAT(Place::header(r, "Accept"), Contains("oci.image.index") && Contains("docker.distribution.manifest"));
    if (r.method == "GET") return HttpResponse{200, {}, "manifest"};
    return says ? HttpResponse{200, {{"docker-content-digest", digest}}, ""} : HttpResponse{200, {}, ""};
  };
  CHECK(p.tag() == digest);
  CHECK(p.asked.size() == 1);
  says = false;
  CHECK(p.tag() == digest);
  p.answer = [](const HttpRequest&) { return HttpResponse{404, {}, ""}; };
  CHECK(p.tag() == "no: registry.example has no team/data:latest");
  CHECK(p.look({AskOutside::What::OciTag, "registry.example:5000/data", "", ""}) ==
        "no: dataset.oci.reference must be registry/repository:tag");
}

TEST_CASE("a registry that wants a token gets the one that everybody gets", "[evidence]") {
  Place p;
  std::string challenge =
      R"(Bearer realm="https://auth.registry.example/token",service="registry.example",scope="repository:team/data:pull")";
  p.answer = [&](const HttpRequest& r) {
    if (r.target == "https://auth.registry.example/token?scope=repository%3Ateam%2Fdata%3Apull&service=registry.example")
      return HttpResponse{200, {}, R"({"token": "t1"})"};
    if (Place::header(r, "Authorization") == "Bearer t1")
      return HttpResponse{200, {{"docker-content-digest", sha256_of("m")}}, ""};
    return HttpResponse{401, {{"www-authenticate", challenge}}, ""};
  };
  CHECK(p.tag() == sha256_of("m"));
  for (const char* other : {"Basic realm=\"x\"", R"(Bearer realm="http://auth.registry.example/token")", ""}) {
    challenge = other;
    CHECK_THAT(p.tag(), Contains("registry.example answered 401: the repository must be public"));
  }
  // A registry that anybody may run chose where the operator's own token went, and was sent what that answered.
  challenge = R"(Bearer realm="https://registry.corp/token")";
  p.asked.clear();
  CHECK_THAT(p.tag(), Contains("requests a token from registry.corp, a host of another domain, which is not allowed"));
  CHECK(p.asked.size() == 1);
  challenge = R"(Bearer realm="https://auth.registry.example/token")";  // the token service is asked by the same rules
  p.answer = [&](const HttpRequest& r) -> Result<HttpResponse> {
    if (r.target.find("/token") == std::string::npos) return HttpResponse{401, {{"www-authenticate", challenge}}, ""};
    return fail(ErrorKind::Forbidden, r.refuse_peer("169.254.169.254", 443));
  };
  CHECK_THAT(p.tag(), Contains("cannot ask auth.registry.example") && Contains("metadata"));
}

TEST_CASE("the operator's token goes to the registry that it is for, and to no token service", "[evidence]") {
  TempDir tokens;
  for (const char* name : {"ns_registry.example", "ns_auth.registry.example"}) std::ofstream(tokens.path / name) << "own";
  Place p;
  const Web web(p, tokens.path, {});
  p.answer = [&](const HttpRequest& r) {
    if (r.target.starts_with("https://auth.")) return HttpResponse{200, {}, R"({"token": "t1"})"};
    if (Place::header(r, "Authorization") == "Bearer t1") return HttpResponse{200, {{"docker-content-digest", sha256_of("m")}}, ""};
    return HttpResponse{401, {{"www-authenticate", R"(Bearer realm="https://auth.registry.example/token")"}}, ""};
  };
  const auto word = Outside(p, web).look("ns", {AskOutside::What::OciTag, "registry.example/team/data:latest", "", ""}, {});
  REQUIRE(word);
  CHECK(*word == sha256_of("m"));
  REQUIRE(p.asked.size() == 3);
  CHECK(Place::header(p.asked[0], "Authorization") == "Bearer own");
  CHECK(Place::header(p.asked[1], "Authorization").empty());
}

TEST_CASE("an alias is as the version that it names", "[evidence]") {
  Place p;
  p.answer = [&](const HttpRequest& r) {
    CHECK(r.target == "http://mlflow.example/api/2.0/mlflow/registered-models/alias?name=fraud%20model&alias=champion");
    return HttpResponse{
        200,
        {},
        R"({"model_version": {"name": "fraud model", "version": "7", "creation_timestamp": 1764500000000, "status": "READY"}})"};
  };
  CHECK(p.alias() == "7@1764500000000");
  p.answer = [](const HttpRequest&) {
    return HttpResponse{200, {}, R"({"model_version": {"version": "8", "status": "PENDING_REGISTRATION"}})"};
  };
  CHECK(p.alias() ==
        "no: alias \"champion\" of \"fraud model\" points to version 8 with status PENDING_REGISTRATION; only a "
        "READY version is imported");
  for (const char* code : {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}) {
    p.answer = [code](const HttpRequest&) {
      return HttpResponse{404, {}, std::string(R"({"error_code": ")") + code + R"(", "message": "secret"})"};
    };
    CHECK(p.alias() == "no: MLflow at mlflow.example has no registered model \"fraud model\" with alias \"champion\"");
  }
  p.answer = [](const HttpRequest&) { return HttpResponse{404, {}, "<html>"}; };
  CHECK_THAT(p.alias(), Contains("mlflow.example answers 404, which is not an answer of MLflow"));
  for (const char* odd : {"<html>", "{}", "[]", R"({"model_version": {"version": "7; rm"}})",
                          R"({"model_version": {"version": {}}})", R"({"model_version": 5})"}) {
    p.answer = [odd](const HttpRequest&) { return HttpResponse{200, {}, odd}; };
    CHECK_THAT(p.alias(), Contains("no: mlflow.example did not send an answer of the MLflow registry API") && !Contains("rm"));
  }
  p.answer = [](const HttpRequest&) { return HttpResponse{401, {}, ""}; };
  CHECK_THAT(p.alias(), Contains("--web-gate-tokens"));
}

}  // namespace
}  // namespace mo::evidence
