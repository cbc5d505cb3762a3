#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "operator/evidence/adopted_objects.h"

using namespace mo::evidence;
using Json = nlohmann::json;

TEST_CASE("what a Model needs to know of a Deployment that it adopts", "[evidence]") {
  const Json found = Json::parse(adopted_deployment(R"({"metadata": {"uid": "u", "resourceVersion": "5", "generation": 3,
      "ownerReferences": [{"kind": "Team", "name": "a"}, {"kind": "Rollout", "name": "x", "controller": true}]},
      "spec": {"replicas": 4, "template": {"metadata": {"labels": {"app": "old"}}}},
      "status": {"observedGeneration": 3, "readyReplicas": 2}})").value());
  CHECK(found == Json{{"uid", "u"}, {"resourceVersion", "5"}, {"deleting", false}, {"replicas", 4}, {"ready", 2}, {"labels", {{"app", "old"}}}, {"controller", "Rollout x"}});
}

TEST_CASE("pods of an adopted Deployment's older generation do not count as ready", "[evidence]") {
  const auto ready = [](const char* status) {
    const std::string deployment = R"({"metadata": {"uid": "u", "generation": 3}, "spec": {}, "status": )" + std::string(status) + "}";
    return Json::parse(adopted_deployment(deployment).value())["ready"];
  };
  CHECK(ready(R"({"observedGeneration": 2, "readyReplicas": 4})") == 0);
  CHECK(ready(R"({"readyReplicas": 4})") == 0);
  CHECK(ready(R"({"observedGeneration": 3, "readyReplicas": "4"})") == 0);
  CHECK(ready("[]") == 0);
}

TEST_CASE("a Deployment without replicas has one", "[evidence]") {
  CHECK(Json::parse(adopted_deployment(R"({"metadata": {"uid": "u"}})").value())["replicas"] == 1);
}

TEST_CASE("what a Model needs to know of the Service that it takes over", "[evidence]") {
  const Json found = Json::parse(adopted_service(R"({"metadata": {"uid": "u", "resourceVersion": "7", "labels": {"app.kubernetes.io/managed-by": "Helm"}},
      "spec": {"selector": {"app": "old"}, "ports": [{"port": 80, "nodePort": 30080}]}})").value());
  CHECK(found == Json{{"uid", "u"}, {"resourceVersion", "7"}, {"selector", {{"app", "old"}}}, {"ports", {{{"port", 80}}}}, {"managedBy", "Helm"},
                      {"controller", ""}, {"external", false}, {"headless", false}, {"applied", false}});
}

TEST_CASE("a headless Service says so", "[evidence]") {
  CHECK(Json::parse(adopted_service(R"({"metadata": {"uid": "u"}, "spec": {"clusterIP": "None", "selector": {"a": "b"}}})").value())["headless"] == true);
}

TEST_CASE("Services that lead callers to an adopted Deployment's pods", "[evidence]") {
  const char* deployment = R"({"labels": {"app": "old", "tier": "1"}})";
  const auto found = services_that_select(R"({"metadata": {"continue": "more"}, "items": [
      {"metadata": {"name": "one"}, "spec": {"selector": {"app": "old"}}}, {"metadata": {"name": "two"}, "spec": {"selector": {"app": "old", "tier": "2"}}},
      {"metadata": {"name": "none"}, "spec": {}}, {"metadata": {"name": "odd"}, "spec": {"selector": []}}]})", deployment);
  REQUIRE(found);
  CHECK(found->services == std::vector<std::string>{"one"});
  CHECK(found->next == "more");
  for (const char* cut : {"", "{", "{}", R"({"items": {}})"}) CHECK(services_that_select(cut, deployment).error().kind == mo::ErrorKind::Malformed);
}

TEST_CASE("a Service without a selector, or by another name in DNS, has nothing to turn", "[evidence]") {
  for (const char* spec : {"{}", R"({"selector": {}})", R"({"selector": [1]})", R"({"type": "ExternalName", "selector": {"a": "b"}})"})
    CHECK(Json::parse(adopted_service(R"({"metadata": {"uid": "u"}, "spec": )" + std::string(spec) + "}").value())["external"] == true);
}

TEST_CASE("an adopted object that was cut on its way is not believed", "[evidence]") {
  for (const char* cut : {"", "{", "[]", "null", R"({"metadata": {}})", R"({"metadata": {"uid": 7}})"}) {
    CHECK(adopted_deployment(cut).error().kind == mo::ErrorKind::Malformed);
    CHECK(adopted_service(cut).error().kind == mo::ErrorKind::Malformed);
  }
}
