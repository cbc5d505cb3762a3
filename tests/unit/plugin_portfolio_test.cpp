// `inventory` and `report`, with what the caller may read.
#include <catch2/catch.hpp>

#include "plugin/portfolio.h"
#include "tests/unit/plugin_cluster.h"

using namespace mo;
using namespace mo::plugin;
using namespace mo::plugin::test;
using Catch::Matchers::Contains;

namespace {

struct Shop : ClusterClient {
  Shop() {
    objects[Kind::Model] = {model_named("fraud"), model_named("churn", "other")};
    objects[Kind::ModelRollout] = {rollout_of("fraud", "fraud-v1-1", "Succeeded")};
    objects[Kind::Pod] = {{{"metadata", {{"name", "hidden"}, {"namespace", "ns"}}}, {"spec", {{"containers", {{{"image", "vllm/vllm-openai:1"}}}}}}}};
  }
};

}  // namespace

TEST_CASE("inventory prints Models, then what needs attention", "[plugin]") {
  Shop shop;
  Printed printed;
  Session session = printed.session(shop);
  CHECK(inventory(session, {}) == 0);
  const std::string text = printed.out.str();
  CHECK_THAT(text, Contains("NAMESPACE") && Contains("fraud") && Contains("<unknown>") && !Contains("churn"));
  CHECK_THAT(text, Contains("no-owner") && Contains("unknown-server") && Contains("vLLM"));
  CHECK(text.find("EVALUATED") == std::string::npos);
  CHECK(printed.err.str() == "");
}

TEST_CASE("inventory -A has all namespaces, as CSV, JSON and ML-BOM", "[plugin]") {
  Shop shop;
  for (const auto& [output, what] : {std::pair("csv", "other,churn"), std::pair("json", "\"churn\""), std::pair("cyclonedx", "machine-learning-model"),
                                     std::pair("wide", "EVALUATED")}) {
    Printed printed;
    Session session = printed.session(shop);
    Inventory wanted;
    wanted.everywhere = true;
    wanted.output = output;
    CHECK(inventory(session, wanted) == 0);
    CHECK_THAT(printed.out.str(), Contains(what));
  }
}

TEST_CASE("what may not be read is said, and no Models are an error", "[plugin]") {
  Shop shop;
  shop.forbidden = {Kind::Pod, Kind::ModelRollout};
  Printed printed;
  Session session = printed.session(shop);
  CHECK(inventory(session, {}) == 0);
  CHECK_THAT(printed.err.str(), Contains("note: Pods could not be read") && Contains("ModelRollouts could not be read"));
  Printed page;
  Session again = page.session(shop);
  CHECK(plugin::report(again, {}) == 0);
  CHECK_THAT(page.out.str(), Contains("<!DOCTYPE html>") && Contains("Pods could not be read"));
  shop.forbidden = {Kind::Model};
  Printed none;
  Session refused = none.session(shop);
  CHECK(inventory(refused, {}) != 0);
  CHECK(none.out.str() == "");
  CHECK_THAT(none.err.str(), Contains("forbidden"));
}
