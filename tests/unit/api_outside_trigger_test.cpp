// Triggers that look outside of the cluster, as a Model says them.
#include <catch2/catch.hpp>

#include "operator/api/parse.h"

namespace mo::api {
namespace {

TEST_CASE("triggers by http, oci and mlflow are read, with what they leave out") {
  const auto model =
      parse<Model>(R"({"metadata": {"name": "m", "namespace": "ns"}, "spec": {"retraining": {"triggers": [
    {"name": "data", "dataset": {"http": {"url": "https://data.example/x"}}},
    {"name": "tag", "dataset": {"oci": {"reference": "registry.example/data:latest", "every": "1h"}}},
    {"name": "plain", "registry": {"mlflow": {"url": "http://mlflow", "model": "fraud", "alias": "champion", "store": {"claimName": "models"}}}},
    {"name": "full", "registry": {"mlflow": {"url": "https://mlflow", "model": "fraud", "alias": "champion", "every": "30s",
      "store": {"claimName": "models", "folder": "a/b"}, "format": {"name": "sklearn", "version": "1"}, "size": "2Gi",
      "credentials": {"secretName": "s"}, "mirror": {"servingAlias": "serving"}}}}]}}})");
  REQUIRE(model);
  CHECK(model->problem == "");
  const auto& triggers = model->retraining->triggers;
  REQUIRE(triggers.size() == 4);
  CHECK(triggers[0].http->url == "https://data.example/x");
  CHECK(triggers[0].http->every == std::chrono::minutes(5));
  CHECK_FALSE(triggers[0].dataset);
  CHECK(triggers[1].oci->reference == "registry.example/data:latest");
  CHECK(triggers[1].oci->every == std::chrono::hours(1));
  CHECK(triggers[2].mlflow->every == std::chrono::minutes(1));
  CHECK(triggers[2].mlflow->format == "mlflow");
  CHECK(triggers[2].mlflow->claim == "models");
  CHECK(triggers[3].mlflow->folder == "a/b");
  CHECK(triggers[3].mlflow->format == "sklearn");
  CHECK(triggers[3].mlflow->format_version == "1");
  CHECK(triggers[3].mlflow->size == "2Gi");
  CHECK(triggers[3].mlflow->secret == "s");
  CHECK(triggers[2].mlflow->serving_alias.empty());
  CHECK(triggers[3].mlflow->serving_alias == "serving");
  CHECK(model->retraining->job_template.empty());
}

TEST_CASE("an S3 store is read with its Secret") {
  const auto model =
      parse<Model>(R"({"metadata": {"name": "m", "namespace": "ns"}, "spec": {"retraining": {"triggers": [
    {"name": "s3", "registry": {"mlflow": {"url": "http://mlflow", "model": "fraud", "alias": "champion",
      "store": {"uri": "s3://models/imported", "credentials": {"secretName": "store"}}}}}]}}})");
  REQUIRE(model);
  CHECK(model->problem == "");
  CHECK(model->retraining->triggers[0].mlflow->store_uri == "s3://models/imported");
  CHECK(model->retraining->triggers[0].mlflow->store_secret == "store");
  CHECK(model->retraining->triggers[0].mlflow->claim.empty());
}

TEST_CASE("a version says whose it was in a registry, if it says all of it") {
  const auto lineage = [](const char* parameters) {
    const auto version = parse<ModelVersion>(
        R"({"metadata": {"name": "v", "namespace": "ns"}, "spec": {"modelRef": {"name": "m"},
      "lineage": {"run": {"kind": "TrainingRun", "name": "r", "parameters": )" +
        std::string(parameters) + "}}}}");
    REQUIRE(version);
    CHECK(version->lineage.run);
    return version->lineage.registry;
  };
  const auto origin = lineage(
      R"({"C": "1", "mlflow_url": "https://mlflow", "mlflow_model": "fraud", "mlflow_version": "7"})");
  REQUIRE(origin);
  CHECK(origin->url == "https://mlflow");
  CHECK(origin->model == "fraud");
  CHECK(origin->version == "7");
  CHECK_FALSE(lineage(R"({"mlflow_model": "fraud", "mlflow_version": "7"})"));
  CHECK_FALSE(lineage("{}"));
}

TEST_CASE("what a registry was told is read as it was written") {
  const auto model = parse<Model>(
      R"({"metadata": {"name": "m", "namespace": "ns"}, "spec": {}, "status": {"retraining": {"mirror": {
    "registry": "r", "versions": [{"version": "7", "modelVersion": "m-7", "state": "Serving", "reason": "why"}], "change": 4, "written": 2,
    "writing": 3, "job": "j", "attempts": 1, "retryAt": "2026-11-30T10:00:00Z", "message": "away"}}}})");
  REQUIRE(model);
  const MirrorStatus& mirror = model->status.retraining.mirror;
  CHECK(mirror.registry == "r");
  CHECK(mirror.versions == std::vector<MirroredVersion>{{"7", "m-7", "Serving", "why"}});
  CHECK(mirror.change == 4);
  CHECK(mirror.written == 2);
  CHECK(mirror.writing == 3);
  CHECK(mirror.job == "j");
  CHECK(mirror.attempts == 1);
  CHECK(mirror.retry_at);
  CHECK(mirror.message == "away");
}

}  // namespace
}  // namespace mo::api
