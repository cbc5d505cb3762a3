// Triggers that look outside of the cluster, as a Model says them.
#include <catch2/catch.hpp>

#include "operator/api/parse.h"

namespace mo::api {
namespace {

TEST_CASE("triggers by http, oci and mlflow are read, with what they leave out") {
  const auto model = parse<Model>(R"({"metadata": {"name": "m", "namespace": "ns"}, "spec": {"retraining": {"triggers": [
    {"name": "data", "dataset": {"http": {"url": "https://data.example/x"}}},
    {"name": "tag", "dataset": {"oci": {"reference": "registry.example/data:latest", "every": "1h"}}},
    {"name": "plain", "registry": {"mlflow": {"url": "http://mlflow", "model": "fraud", "alias": "champion", "store": {"claimName": "models"}}}},
    {"name": "full", "registry": {"mlflow": {"url": "https://mlflow", "model": "fraud", "alias": "champion", "every": "30s",
      "store": {"claimName": "models", "folder": "a/b"}, "format": {"name": "sklearn", "version": "1"}, "size": "2Gi",
      "credentials": {"secretName": "s"}}}}]}}})");
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
  CHECK(model->retraining->job_template.empty());
}

}  // namespace
}  // namespace mo::api
