// Telling MLflow what serves: alias and tags, nothing twice, nothing of somebody else's.
#include "operator/json/json.h"
#include "operator/fetch/mirror.h"
#include "tests/unit/fetch_bench.h"

namespace mo {
namespace {

using Attempt = FakeHttp::Attempt;

// A registered model of a few versions, that answers as MLflow does.
struct Registry {
  TempDir dir;
  FakeHttp http;
  MirrorOptions options;
  std::ostringstream log;
  std::stop_source stop;
  std::map<std::string, std::map<std::string, std::string>> tags = {
      {"6", {}}, {"7", {}}, {"8", {{"team", "risk"}}}};  // by version
  std::map<std::string, std::string> aliases = {{"champion", "8"}};
  std::vector<std::string> writes;
  int status = 200, write_status = 200, busy = 0;

  Registry() {
    options.url = "https://mlflow.example/";
    options.model = "fraud model";
    options.alias = "serving";
    options.result = dir.path / "result";
    options.first_retry = 1ms;
    http.piece = 1000;
    http.respond = [this](const kube::HttpRequest& request) { return answer(request); };
  }

  static Attempt none() {
    return {404, R"({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "not found"})"};
  }
  Attempt answer(const kube::HttpRequest& request) {
    if (status != 200) return {status, "{}"};
    const std::string api = "https://mlflow.example/api/2.0/mlflow/";
    REQUIRE(request.target.starts_with(api));
    const std::string path = request.target.substr(api.size());
    return request.method == "GET" ? look(path)
                                   : write(request.method + " " + path, Json::parse(request.body));
  }
  Attempt look(const std::string& path) {
    const std::string of_alias = "registered-models/alias?name=fraud%20model&alias=serving",
                      of_version = "model-versions/get?name=fraud%20model&version=";
    if (path == of_alias && !aliases.count("serving"))
      return {400, R"({"error_code": "INVALID_PARAMETER_VALUE"})"};
    if (path == of_alias) return version(aliases["serving"]);
    if (path.starts_with(of_version)) return version(path.substr(of_version.size()));
    return none();
  }
  Attempt version(const std::string& number) {
    if (!tags.count(number)) return none();
    Json list = Json::array();
    for (const auto& [key, value] : tags[number]) list.push_back({{"key", key}, {"value", value}});
    return {200, Json{{"model_version", {{"version", number}, {"status", "READY"}, {"tags", list}}}}.dump()};
  }
  Attempt write(const std::string& what, const Json& body) {
    if (busy-- > 0) return {503};
    if (write_status != 200) return {write_status, R"({"error_code": "PERMISSION_DENIED"})"};
    CHECK(body["name"] == "fraud model");
    writes.push_back(what + " " + body.value("version", "") + " " + body.value("key", ""));
    if (what == "POST model-versions/set-tag") {
      if (!tags.count(body["version"])) return none();
      tags[body["version"]][body["key"]] = body["value"];
    } else if (what == "POST registered-models/alias") {
      if (!tags.count(body["version"])) return none();
      aliases[body["alias"]] = body["version"];
    } else if (what == "DELETE registered-models/alias") {
      aliases.erase(body["alias"]);
    } else {
      return none();
    }
    return {200, "{}"};
  }

  void knows(const std::string& number, const std::string& state, const std::string& reason) {
    options.states.push_back(Json{
        {"version", number},
        {"modelVersion", "ns/m-" + number},
        {"state", state},
        {"reason", reason}}.dump());
  }
  int tell() { return mirror_to_mlflow(options, http, log, stop.get_token()); }
  std::string said() { return read(options.result); }
};

TEST_CASE("MLflow is told which version serves and what became of the others, once", "[fetch][mirror]") {
  Registry r;
  r.knows("7", "Serving", "serves Model ns/m");
  r.knows("8", "RolledBack", "gate accuracy failed: 0.8 < 0.9");
  REQUIRE(r.tell() == 0);
  CHECK(r.aliases == std::map<std::string, std::string>{{"champion", "8"}, {"serving", "7"}});
  CHECK(r.tags["7"] == std::map<std::string, std::string>{{"modelops.serving", "Serving"},
                                                          {"modelops.serving.reason", "serves Model ns/m"},
                                                          {"modelops.serving.version", "ns/m-7"}});
  CHECK(r.tags["8"] ==
        std::map<std::string, std::string>{{"modelops.serving", "RolledBack"},
                                           {"modelops.serving.reason", "gate accuracy failed: 0.8 < 0.9"},
                                           {"modelops.serving.version", "ns/m-8"},
                                           {"team", "risk"}});
  CHECK(r.writes.size() == 7);
  CHECK(r.writes.back() == "POST registered-models/alias 7 ");  // whoever follows it finds the tags
  CHECK(r.said() == "MLflow has the state of 2 versions of fraud model; alias serving names version 7");

  r.writes.clear();
  CHECK(r.tell() == 0);
  CHECK(r.writes.empty());
  // Only what differs is written.
  r.options.states.clear();
  r.knows("7", "Superseded", "after it came ns/m-6");
  r.knows("6", "Serving", "serves Model ns/m");
  CHECK(r.tell() == 0);
  CHECK(r.writes.size() == 2 + 3 + 1);
  CHECK(r.aliases["serving"] == "6");
}

TEST_CASE("where none serves the alias goes, unless somebody else gave it", "[fetch][mirror]") {
  Registry r;
  r.aliases["serving"] = "8";
  r.knows("7", "Superseded", "nothing serves");
  CHECK(r.tell() == 0);
  CHECK(r.aliases["serving"] == "8");
  r.options.states.clear();
  r.knows("8", "Serving", "");
  CHECK(r.tell() == 0);
  r.options.states = {};
  r.knows("8", "Superseded", "nothing serves");
  CHECK(r.tell() == 0);
  CHECK_FALSE(r.aliases.count("serving"));
  CHECK(r.writes.back() == "DELETE registered-models/alias  ");
  r.writes.clear();
  CHECK(r.tell() == 0);
  CHECK(r.writes.empty());
}

TEST_CASE("versions that MLflow has no more are passed over, but for the one that serves",
          "[fetch][mirror]") {
  Registry r;
  r.knows("5", "Superseded", "old");
  r.knows("7", "Serving", "");
  CHECK(r.tell() == 0);
  CHECK(r.aliases["serving"] == "7");
  CHECK_THAT(r.log.str(),
             Contains("MLflow has no version 5 of registered model \"fraud model\"") && Contains("; it is skipped"));
  r.options.states.clear();
  r.knows("9", "Serving", "");
  CHECK(r.tell() == kFetchNoSource);
  CHECK_THAT(r.said(), Contains("MLflow has no version 9"));
  CHECK(r.aliases["serving"] == "7");
}

TEST_CASE("what keeps MLflow from being told is said", "[fetch][mirror]") {
  Registry r;
  r.knows("7", "Serving", "");
  r.busy = 2;  // tried again
  CHECK(r.tell() == 0);
  r.tags["7"].clear();
  r.write_status = 403;
  CHECK(r.tell() == kFetchCredentials);
  CHECK_THAT(r.said(), Contains("https://mlflow.example: MLflow requires credentials"));
  fs::create_directory(r.dir.path / "secret");
  write(r.dir.path / "secret" / "token", "t");
  r.options.credentials_dir = r.dir.path / "secret";
  CHECK(r.tell() == kFetchCredentials);
  CHECK_THAT(r.said(), Contains("does not let this account write to version 7") &&
                           Contains("the Secret of registry.mlflow.credentials"));
  CHECK(r.http.headers.back() == std::make_pair(std::string("Authorization"), std::string("Bearer t")));
  r.options.url = "http://mlflow.example";
  r.http.requests.clear();
  CHECK(r.tell() == kFetchUsage);
  CHECK(r.http.requests.empty());
  r.options.url = "https://mlflow.example";
  r.status = 500;
  r.options.timeout = 20ms;
  CHECK(r.tell() == kFetchNetwork);
  CHECK_THAT(r.said(), Contains("HTTP 500"));
  for (const char* odd : {"", "7", "[]", R"({"version": 7, "state": "Serving"})", R"({"version": "7"})"}) {
    r.options.states = {odd};
    CHECK(r.tell() == kFetchUsage);
    CHECK_THAT(r.said(), Contains("--state must"));
  }
}

}  // namespace
}  // namespace mo
