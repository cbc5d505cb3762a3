// Importing from MLflow: what comes is packed and reported, and what goes wrong is said.
#include "operator/api/run_result.h"
#include "operator/fetch/import.h"
#include "operator/fetch/mlflow.h"
#include "operator/fetch/pack.h"
#include "tests/unit/fetch_bench.h"

namespace mo {
namespace {

using Attempt = FakeHttp::Attempt;

constexpr const char* kFiles = "0/models/m-1/artifacts";

// Answers as MLflow does.
struct Mlflow {
  TempDir dir;
  FakeHttp http, store;  // MLflow, and an S3 store
  ImportOptions options;
  std::ostringstream log;
  std::stop_source stop;
  std::map<std::string, std::string> files = {
      {"MLmodel", "flavors: {}"}, {"data/model.xgb", std::string(5000, 'x')}, {"data/a b.txt", ""}};
  Json version = {{"version", "7"}, {"run_id", "r1"}, {"source", "models:/m-1"}, {"status", "READY"}};
  Json run = {{"run",
               {{"data",
                 {{"metrics",
                   {{{"key", "f1"}, {"value", 0.93}}, {{"key", "loss"}, {"value", 1e-05}}, {{"key", "bad"}, {"value", "NaN"}}}},
                  {"params", {{{"key", "C"}, {"value", "0.1"}}}},
                  {"tags", {{{"key", "mlflow.source.git.commit"}, {"value", "9fceb02"}}}}}}}}};
  Json logged_model = {{"model", {{"data", {{"metrics", {{{"key", "auc"}, {"value", 1}}}}}}}}};
  std::string uri = "mlflow-artifacts:/" + std::string(kFiles);
  int cuts = 0, status = 200;
  std::string wanted_authorization;

  Mlflow() {
    options.url = "https://mlflow.example/";
    options.model = "fraud model";
    options.alias = "champion";
    options.uri = "pvc://models/imported/fraud";
    options.store = dir.path / "store";
    options.work = dir.path / "work";
    options.result = dir.path / "result";
    options.first_retry = 1ms;
    fs::create_directory(options.store);
    fs::create_directory(options.work);
    http.piece = 1000;
    http.respond = [this](const kube::HttpRequest& request) { return answer(request); };
  }

  Attempt answer(const kube::HttpRequest& request) {
    const std::string api = "https://mlflow.example/api/2.0/mlflow/",
                      proxy = "https://mlflow.example/api/2.0/mlflow-artifacts/artifacts";
    const std::string& target = request.target;
    std::string sent;
    for (const auto& [name, value] : request.headers)
      if (name == "Authorization") sent = value;
    if (sent != wanted_authorization) return {401};
    if (status != 200) return {status, R"({"error_code": "INTERNAL_ERROR"})"};
    if (target == api + "registered-models/alias?name=fraud%20model&alias=champion" ||
        target == api + "model-versions/get?name=fraud%20model&version=7")
      return {200, Json{{"model_version", version}}.dump()};
    if (target == api + "model-versions/get-download-uri?name=fraud%20model&version=7")
      return {200, Json{{"artifact_uri", uri}}.dump()};
    if (target == api + "runs/get?run_id=r1") return {200, run.dump()};
    if (target == api + "logged-models/m-1") return {200, logged_model.dump()};
    if (target.starts_with(proxy + "?path=")) return list(target.substr(proxy.size() + 6));
    if (target.starts_with(proxy + "/" + kFiles + "/")) return file(target.substr(proxy.size() + 2 + std::string(kFiles).size()));
    return {404, R"({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such thing"})"};
  }
  Attempt list(const std::string& at) {
    const std::string folder = at == "0%2Fmodels%2Fm-1%2Fartifacts"          ? ""
                               : at == "0%2Fmodels%2Fm-1%2Fartifacts%2Fdata" ? "data/"
                                                                             : "?";
    Json found = Json::array();
    bool data = false;
    for (const auto& [name, content] : files) {
      if (!name.starts_with(folder)) continue;
      const std::string rest = name.substr(folder.size());
      if (rest.find('/') == std::string::npos || !rest.starts_with("data/"))
        found.push_back({{"path", rest}, {"is_dir", false}, {"file_size", content.size()}});
      else if (!std::exchange(data, true))
        found.push_back({{"path", "data"}, {"is_dir", true}});
    }
    return {200, Json{{"files", found}}.dump()};
  }
  Attempt file(std::string name) {
    if (const size_t at = name.find("%20"); at != std::string::npos) name.replace(at, 3, " ");
    const auto found = files.find(name);
    if (found == files.end()) return {404};
    if (found->second.size() > 2000 && cuts-- > 0)
      return {200, found->second.substr(0, 2000), Error{ErrorKind::Transport, "body: cut", 0, {}, {}}};
    return {200, found->second};
  }

  int bring() { return import_from_mlflow(options, http, store, log, stop.get_token()); }
  std::string said() { return read(options.result); }
  std::vector<std::string> stored() {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(options.store))
      if (entry.is_regular_file()) names.push_back(entry.path().lexically_relative(options.store).string());
    return names;
  }
};

TEST_CASE("a version of MLflow becomes an archive with its digest, metrics, parameters and code", "[fetch][import]") {
  Mlflow m;
  REQUIRE(m.bring() == 0);
  INFO(m.said());
  const auto result = api::parse_run_result(m.said());
  REQUIRE(result);
  const auto files = m.stored();
  REQUIRE(files.size() == 1);
  CHECK(result->artifact.uri == "pvc://models/" + files[0]);
  CHECK(result->artifact.uri == "pvc://models/imported/fraud/fraud-model-7-" + result->artifact.digest.substr(7, 12) + ".tar");
  CHECK(digest_of(read(m.options.store / files[0])) == result->artifact.digest);
  CHECK(result->artifact.unpack);
  CHECK(result->artifact.size.empty());
  CHECK(result->artifact.format.name == "mlflow");
  CHECK(result->metrics == std::map<std::string, std::string>{{"auc", "1"}, {"f1", "0.93"}, {"loss", "1e-05"}});
  CHECK(result->lineage["parameters"] == Json{{"C", "0.1"},
                                              {"mlflow_url", "https://mlflow.example"},
                                              {"mlflow_model", "fraud model"},
                                              {"mlflow_version", "7"},
                                              {"mlflow_run_id", "r1"}});
  CHECK(result->lineage["code"] == Json{{"revision", "9fceb02"}});
  CHECK(fs::is_empty(m.options.work));

  // As `pack` makes it of the same files, and the same once more.
  for (const auto& [name, content] : m.files) {
    fs::create_directories((m.dir.path / "by-hand" / name).parent_path());
    write(m.dir.path / "by-hand" / name, content);
  }
  CHECK(pack(m.dir.path / "by-hand", m.dir.path / "by-hand.tar")->digest == result->artifact.digest);
  CHECK(m.bring() == 0);
  CHECK(m.stored() == files);
}

TEST_CASE("the version that a run names is taken, wherever the alias points by then", "[fetch][import]") {
  Mlflow m;
  m.options.version = "7";
  CHECK(m.bring() == 0);
  CHECK_THAT(m.http.requests.front(), Contains("model-versions/get?name=fraud%20model&version=7"));
  m.options.version = "8";
  CHECK(m.bring() == kFetchNoSource);
  CHECK_THAT(m.said(), Contains("MLflow has no version 8 of registered model \"fraud model\""));
}

TEST_CASE("a file whose connection breaks begins anew and counts once", "[fetch][import]") {
  Mlflow m;
  m.cuts = 3;
  m.options.max_bytes = 5 * 4096;  // a folder and three files take 4 blocks
  CHECK(m.bring() == 0);
  INFO(m.log.str());
  const auto result = api::parse_run_result(m.said());
  REQUIRE(result);
  CHECK(result->artifact.size == std::to_string(5 * 4096));
}

TEST_CASE("what is wrong with a version, a server or an account is said, and nothing is stored", "[fetch][import]") {
  Mlflow m;
  const auto is = [&](int code, const std::string& words) {
    INFO(words);
    CHECK(m.bring() == code);
    CHECK_THAT(m.said(), Contains(words) && StartsWith("https://mlflow.example: "));
    CHECK(m.stored().empty());
  };
  m.options.alias = "nobody";
  is(kFetchNoSource, "MLflow has no registered model \"fraud model\" with alias \"nobody\"");
  m.options.alias = "champion";
  m.version["status"] = "PENDING_REGISTRATION";
  is(kFetchNoSource, "is PENDING_REGISTRATION");
  m.version["status"] = "READY";
  m.uri = "s3://secret-bucket/1/model";
  is(kFetchNoSource, "run MLflow with --serve-artifacts");
  m.uri = "mlflow-artifacts://mlflow.example/0/models/nothing";
  is(kFetchNoSource, "MLflow has no files for it");
  m.uri = "mlflow-artifacts:/" + std::string(kFiles);
  m.files["../../escape"] = "x";
  is(kFetchNoSource, "..");
  m.files.erase("../../escape");
  m.options.max_bytes = 4096;
  is(kFetchNoSource, "bytes allowed");
  m.options.max_bytes = 1u << 30;
  m.wanted_authorization = "Bearer t";
  is(kFetchCredentials, "MLflow requires credentials; name a Secret in registry.mlflow.credentials");
  m.wanted_authorization.clear();
  m.status = 500;
  m.options.timeout = 20ms;
  is(kFetchNetwork, "HTTP 500");
  m.options.store = m.dir.path / "result" / "no folder";
  m.status = 200;
  m.options.timeout = 10s;
  CHECK(m.bring() == kFetchOutput);
}

TEST_CASE("credentials go by https alone", "[fetch][import]") {
  Mlflow m;
  m.options.credentials_dir = m.dir.path / "secret";
  fs::create_directory(m.options.credentials_dir);
  CHECK(m.bring() == kFetchCredentials);
  CHECK_THAT(m.said(), Contains("the Secret of registry.mlflow.credentials"));
  write(m.options.credentials_dir / "username", "jane");
  write(m.options.credentials_dir / "password", "pass\n");
  m.wanted_authorization = "Basic amFuZTpwYXNz";
  CHECK(m.bring() == 0);
  m.options.url = "http://mlflow.example";
  m.http.requests.clear();
  CHECK(m.bring() == kFetchUsage);
  CHECK(m.http.requests.empty());
}

TEST_CASE("a version goes into an S3 store, with the store's own keys", "[fetch][import][s3]") {
  Mlflow m;
  std::map<std::string, std::string> objects;
  int status = 200;
  m.store.respond = [&](const kube::HttpRequest& request) -> Attempt {
    CHECK(request.sign.has_value());
    if (status != 200) return {status, "<Error><Code>AccessDenied</Code></Error>"};
    objects[request.method + " " + request.target] = request.body;
    return {200};
  };
  m.options.uri = "s3://models/imported/";
  CHECK(m.bring() == kFetchCredentials);
  CHECK_THAT(m.said(), Contains("s3://models/imported/: s3:// needs registry.mlflow.store.credentials"));
  CHECK(m.http.requests.empty());  // nothing is downloaded for a store that cannot be written to
  m.options.store_credentials_dir = m.dir.path / "keys";
  fs::create_directory(m.options.store_credentials_dir);
  CHECK(m.bring() == kFetchCredentials);
  CHECK_THAT(m.said(), Contains("the Secret of registry.mlflow.store.credentials does not exist, or has no AWS_ACCESS_KEY_ID"));
  CHECK(m.http.requests.empty());
  for (const auto& [key, value] :
       {std::pair("AWS_ACCESS_KEY_ID", "id"), std::pair("AWS_SECRET_ACCESS_KEY", "s"),
        std::pair("AWS_ENDPOINT_URL", "http://store")})
    write(m.options.store_credentials_dir / key, value);
  REQUIRE(m.bring() == 0);
  CHECK(m.http.headers.size() == 0);  // MLflow got none of them
  const auto result = api::parse_import_result(m.said());
  REQUIRE(result);
  CHECK_FALSE(api::parse_run_result(m.said()));  // of a Job that trains nobody knows the keys
  REQUIRE(objects.size() == 1);
  const std::string name = "imported/fraud-model-7-" + result->artifact.digest.substr(7, 12) + ".tar";
  CHECK(objects.begin()->first == "PUT http://store/models/" + name);
  CHECK(digest_of(objects.begin()->second) == result->artifact.digest);
  CHECK(result->artifact.uri == "s3://models/" + name);
  CHECK(fs::is_empty(m.options.work));
  CHECK(m.stored().empty());
  status = 403;
  CHECK(m.bring() == kFetchCredentials);
  CHECK_THAT(
      m.said(),
      Contains("allow s3:PutObject, or name another Secret in registry.mlflow.store.credentials"));
  CHECK(fs::is_empty(m.options.work));
  m.options.uri = "s3://";
  CHECK(m.bring() == kFetchUsage);
  m.options.uri = "ftp://x";
  CHECK(m.bring() == kFetchUsage);
}

// A termination message holds 4 KiB.
TEST_CASE("of more figures than a RunResult holds those that gates read come first", "[fetch][import]") {
  Mlflow m;
  for (int i = 0; i < 200; ++i) {
    m.run["run"]["data"]["metrics"].push_back({{"key", "metric_" + std::to_string(i)}, {"value", 0.5}});
    m.run["run"]["data"]["params"].push_back({{"key", "parameter_" + std::to_string(i)}, {"value", std::string(50, 'p')}});
  }
  m.run["run"]["data"]["metrics"].push_back({{"key", "zz_wanted"}, {"value", 0.75}});
  m.options.metrics = {"zz_wanted", "not there"};
  REQUIRE(m.bring() == 0);
  CHECK(m.said().size() <= 4000);
  const auto result = api::parse_run_result(m.said());
  REQUIRE(result);
  CHECK(result->metrics.at("zz_wanted") == "0.75");
  CHECK_THAT(m.log.str(), Contains("metrics and parameters are left out"));
}

TEST_CASE("a run that was deleted has no figures, and odd records harm nobody", "[fetch][import]") {
  Mlflow m;
  m.version.erase("run_id");
  m.version["source"] = "mlflow-artifacts:/x";
  REQUIRE(m.bring() == 0);
  CHECK(api::parse_run_result(m.said())->metrics.empty());
  for (const char* odd :
       {"null", "[]", R"({"run": 5})", R"({"run": {"data": {"metrics": {"a": 1}, "params": [5, {"key": {}}], "tags": "x"}}})"}) {
    const fetch::Record record = fetch::read_record(Json::parse(odd), Json::parse(odd));
    CHECK(record.metrics.empty());
    CHECK(record.parameters.empty());
  }
}

}  // namespace
}  // namespace mo
