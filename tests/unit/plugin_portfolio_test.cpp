// `inventory` and `report`, with what the caller may read.
#include <catch2/catch.hpp>

#include <fstream>

#include "plugin/portfolio.h"
#include "tests/unit/plugin_cluster.h"
#include "tests/unit/temp_dir.h"

using namespace mo;
using namespace mo::plugin;
using namespace mo::plugin::test;
using Catch::Matchers::Contains;

namespace {

// A Prometheus: what it was asked, and one answer for all.
struct Web : kube::HttpTransport {
  std::vector<std::string> targets;
  Result<kube::HttpResponse> answer = fail(ErrorKind::Transport, "refused");
  Result<kube::HttpResponse> send(const kube::HttpRequest& request, std::stop_token) override {
    targets.push_back(request.target);
    return answer;
  }
  Result<kube::HttpResponse> stream(const kube::HttpRequest&, const kube::LineSink&, std::stop_token) override { return fail(ErrorKind::Invalid, "not used"); }
};

struct Shop : ClusterClient {
  Web http;
  ErrorKind raw_error = ErrorKind::NotFound;  // of the kinds that a cluster may lack
  Result<std::string> get_raw(const std::string&, std::stop_token) override { return fail(raw_error, "no"); }
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
  CHECK(inventory(session, {}, shop.http) == 0);
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
    CHECK(inventory(session, wanted, shop.http) == 0);
    CHECK_THAT(printed.out.str(), Contains(what));
  }
}

TEST_CASE("plugin: a selector of Models makes no server of another Model unknown", "[plugin]") {
  Shop shop;
  shop.objects[Kind::Model][0]["metadata"]["labels"] = {{"team", "pay"}};
  shop.objects[Kind::Model].push_back(model_named("risk"));
  shop.objects[Kind::Pod][0]["metadata"]["labels"] = {{"modelops.dev/model", "risk"}};
  for (const char* selector : {"", "team=pay"}) {
    Printed printed;
    Session session = printed.session(shop);
    Inventory wanted;
    wanted.selector = selector;
    wanted.output = "json";
    CHECK(inventory(session, wanted, shop.http) == 0);
    const Json told = Json::parse(printed.out.str());
    CHECK(told["models"].size() == (*selector ? 1 : 2));
    CHECK(told["servers"] == (*selector ? Json() : Json::array()));  // null: unknown
    CHECK(told.dump().find("unknown-server") == std::string::npos);
    CHECK((told["gaps"].dump().find("Pods are not looked at") != std::string::npos) == (*selector != 0));
  }
}

TEST_CASE("plugin: kinds that a cluster lacks are no gap, and whatever else fails is one", "[plugin]") {
  for (const ErrorKind kind : {ErrorKind::NotFound, ErrorKind::Forbidden, ErrorKind::Transport, ErrorKind::Invalid}) {
    Shop shop;
    shop.raw_error = kind;
    Printed printed;
    Session session = printed.session(shop);
    CHECK(inventory(session, {}, shop.http) == 0);
    for (const char* gap : {"TrainingRuns could not be read: no", "ModelApprovals could not be read: no", "ModelPolicies could not be read: no"})
      CHECK((printed.err.str().find(gap) != std::string::npos) == (kind != ErrorKind::NotFound));
  }
}

TEST_CASE("what may not be read is said, and no Models are an error", "[plugin]") {
  Shop shop;
  shop.forbidden = {Kind::Pod, Kind::ModelRollout};
  Printed printed;
  Session session = printed.session(shop);
  CHECK(inventory(session, {}, shop.http) == 0);
  CHECK_THAT(printed.err.str(), Contains("note: Pods could not be read") && Contains("ModelRollouts could not be read"));
  Printed page;
  Session again = page.session(shop);
  CHECK(plugin::report(again, {}, shop.http) == 0);
  CHECK_THAT(page.out.str(), Contains("<!DOCTYPE html>") && Contains("Pods could not be read"));
  shop.forbidden = {Kind::Model};
  Printed none;
  Session refused = none.session(shop);
  CHECK(inventory(refused, {}, shop.http) != 0);
  CHECK(none.out.str() == "");
  CHECK_THAT(none.err.str(), Contains("forbidden"));
}

TEST_CASE("plugin: what Models ask for and cost, with prices of a file; what is not known stays unknown", "[plugin]") {
  const TempDir folder;
  const auto prices = folder.path / "prices.yaml";
  std::ofstream(prices) << "currency: EUR\ncpuHour: '0.1'\nmemoryGiBHour: 0.01\n";
  Shop shop;
  shop.objects[Kind::Deployment] = {
      {{"metadata",
        {{"name", "fraud-fraud-v1"}, {"namespace", "ns"},
         {"labels", {{"app.kubernetes.io/managed-by", "model-operator"}, {"modelops.dev/model", "fraud"}, {"modelops.dev/version", "fraud-v1"}}}}},
       {"spec", {{"replicas", 2}, {"template", {{"spec", {{"containers", {{{"resources", {{"requests", {{"cpu", "500m"}, {"memory", "1Gi"}}}}}}}}}}}}}}}};
  const auto run = [&](Inventory wanted) {
    Printed printed;
    Session session = printed.session(shop);
    CHECK(inventory(session, wanted, shop.http) == 0);
    return printed.out.str() + printed.err.str();
  };
  Inventory wanted;
  wanted.output = "csv";
  wanted.table = "resources";
  CHECK_THAT(run(wanted), Contains("ns,fraud,,fraud-v1,2,1.0,,2.0,,,,"));
  wanted.asked.prices = prices;
  CHECK_THAT(run(wanted), Contains("ns,fraud,,fraud-v1,2,1.0,,2.0,,,87.6,EUR"));
  wanted.output = "wide";
  CHECK_THAT(run(wanted), Contains("A MONTH") && Contains("87.60 EUR"));
  CHECK(shop.http.targets.empty());
  wanted.asked.prometheus_url = "http://prom";
  CHECK_THAT(run(wanted), Contains("note: The usage of pods is unknown: Prometheus could not be reached"));
  shop.http.answer = kube::HttpResponse{
      200, {}, R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{"namespace":"ns","workload":"fraud-fraud-v1"},"value":[1,"0.25"]}]}})"};
  wanted.output = "csv";
  CHECK_THAT(run(wanted), Contains("ns,fraud,,fraud-v1,2,1.0,0.25,2.0,"));
  shop.forbidden = {Kind::Deployment};
  CHECK_THAT(run(wanted), Contains("note: Deployments could not be read, so resources and costs are unknown"));
  std::ofstream(prices) << "currency: EUR\ncpuHour: cheap\n";
  Printed printed;
  Session session = printed.session(shop);
  CHECK(inventory(session, wanted, shop.http) != 0);
  CHECK_THAT(printed.err.str(), Contains("cpuHour must be a price such as"));
}

TEST_CASE("plugin: the file shows figures over time where Prometheus is named", "[plugin]") {
  Shop shop;
  shop.objects[Kind::Model][0]["spec"]["monitors"] = {{{"name", "drift"}, {"max", "0.2"}}};
  Reporting wanted;
  const auto run = [&] {
    Printed printed;
    Session session = printed.session(shop);
    CHECK(plugin::report(session, wanted, shop.http) == 0);
    return printed.out.str();
  };
  CHECK_THAT(run(), !Contains("Figures over time"));
  wanted.asked.prometheus_url = "http://prom";
  CHECK_THAT(run(), Contains("Figures over time") && Contains("Prometheus could not be reached"));
}
