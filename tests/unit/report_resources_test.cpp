// What Models ask for and what it costs.
#include <catch2/catch.hpp>

#include "report/pages.h"
#include "report/resource_tables.h"
#include "report/tables.h"
#include "tests/unit/report_make.h"

using namespace mo;
using namespace mo::report;
using namespace mo::report::test;
using Catch::Matchers::Contains;

namespace {

Json container(const Json& requests, const Json& limits = Json::object()) { return {{"name", "c"}, {"resources", {{"requests", requests}, {"limits", limits}}}}; }

Json deployment(Json containers, const std::string& ns = "pay", int replicas = 2) {
  Json d = {{"metadata", meta("fraud-fraud-v2", ns)}, {"spec", {{"replicas", replicas}, {"template", {{"spec", {{"containers", std::move(containers)}}}}}}}};
  d["metadata"]["labels"] = {{"app.kubernetes.io/managed-by", "model-operator"}, {"modelops.dev/model", "fraud"}, {"modelops.dev/version", "fraud-v2"}};
  return d;
}

const Prices kPrices{"EUR", 0.1, 0.01, {{"nvidia.com/gpu", 2.0}}};

}  // namespace

TEST_CASE("quantities as Kubernetes writes them", "[report]") {
  for (const auto& [text, value] : {std::pair("250m", 0.25), std::pair("1.5", 1.5), std::pair("2Gi", 2147483648.0), std::pair("1e3", 1000.0), std::pair("0", 0.0),
                                    std::pair("128974848", 128974848.0), std::pair("1k", 1000.0)})
    CHECK(quantity(text).value() == Approx(value));
  for (const char* text : {"", "x", "-1", "1 Gi", "1Q", "nan", "inf", "1e999", "0x10Gi"}) CHECK_FALSE(quantity(text));
}

TEST_CASE("a pod asks for what its containers ask for, and for nothing known if one does not say", "[report]") {
  const auto of = [](const Json& d) { return read_workload(d).value(); };
  Workload w = of(deployment({container({{"cpu", "1"}, {"memory", "1Gi"}}), container({{"cpu", "500m"}}, {{"cpu", "1"}, {"memory", "1Gi"}, {"nvidia.com/gpu", 1}})}));
  CHECK(w.cpu == 1.5);
  CHECK(w.memory == 2147483648.0);  // what a container may use at most where it does not say
  CHECK(w.devices == std::map<std::string, double>{{"nvidia.com/gpu", 1}});
  CHECK(w.pods == 2);
  w = of(deployment({container({{"cpu", "1"}, {"memory", "1Gi"}}), container(Json::object())}));
  CHECK_FALSE(w.cpu);
  CHECK_FALSE(w.memory);
  // An init container that is larger than all the rest; one that stays beside the rest.
  Json d = deployment({container({{"cpu", "1"}, {"memory", "1Gi"}})});
  d["spec"]["template"]["spec"]["initContainers"] = {container({{"cpu", "4"}})};
  CHECK(of(d).cpu == 4.0);
  d["spec"]["template"]["spec"]["initContainers"][0]["restartPolicy"] = "Always";
  CHECK(of(d).cpu == 5.0);
  CHECK_FALSE(of(d).memory);
  // So many as there are, once that is known.
  d["status"] = {{"observedGeneration", 3}};
  CHECK(of(d).pods == 0);
  d["status"]["replicas"] = 7;
  CHECK(of(d).pods == 7);
  d["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "helm";
  CHECK_FALSE(read_workload(d));
  for (const Json& odd : {Json(), Json(1), Json{{"metadata", {{"labels", 3}}}}}) CHECK_FALSE(read_workload(odd));
}

TEST_CASE("costs are known where every amount and its price are", "[report]") {
  Workload w;
  w.pods = 2;
  w.cpu = 1.0;
  w.memory = 1024.0 * 1024 * 1024;
  CHECK(monthly_cost(w, kPrices).value() == Approx(2 * 730 * 0.11));
  w.devices["nvidia.com/gpu"] = 1;
  CHECK(monthly_cost(w, kPrices).value() == Approx(2 * 730 * 2.11));
  w.devices["amd.com/gpu"] = 1;
  CHECK_FALSE(monthly_cost(w, kPrices));
  CHECK_FALSE(monthly_cost(w, {}));
  w.devices.clear();
  w.memory.reset();
  CHECK_FALSE(monthly_cost(w, kPrices));
  w.pods = 0;
  CHECK(monthly_cost(w, {}) == 0.0);
}

TEST_CASE("OpenCost's costs come before prices, and what admission added counts", "[report]") {
  Workload w;
  w.pods = 2;
  w.cpu = 1.0;
  w.memory = 1024.0 * 1024 * 1024;
  w.cpu_told = 3.0;  // a sidecar each
  CHECK(cpu_asked(w) == 3.0);
  w.memory_told = 1.0;  // less than the Deployment asks for: an init container's
  CHECK(memory_asked(w) == 2 * *w.memory);
  CHECK(monthly_cost(w, kPrices).value() == Approx(730 * (3 * 0.1 + 2 * 0.01)));
  w.cost_hour = 2.0;
  CHECK(monthly_cost(w, kPrices).value() == Approx(730 * 0.32));  // not declared
  auto priced = with_opencost(kPrices, "EUR");
  REQUIRE(priced);
  CHECK(monthly_cost(w, *priced).value() == Approx(1460));
  w.cost_hour.reset();
  CHECK(monthly_cost(w, *priced).value() == Approx(730 * 0.32));  // of those that OpenCost does not know
  priced = with_opencost({}, "USD");
  REQUIRE(priced);
  CHECK((*priced)->currency == "USD");
  CHECK_FALSE(monthly_cost(w, *priced));
  const auto mixed = with_opencost(kPrices, "USD");
  REQUIRE_FALSE(mixed);
  CHECK_THAT(mixed.error().message, Contains("USD") && Contains("EUR"));
  CHECK(with_opencost({}, "").value() == std::nullopt);
  w.cpu.reset();  // some container says nothing
  CHECK_FALSE(cpu_asked(w));
}

TEST_CASE("prices are refused with the field that is wrong", "[report]") {
  for (const auto& [text, what] : {std::pair("[]", "must be an object"), std::pair("{}", "currency"), std::pair(R"({"currency":"EUR","cpu":1})", "cpu is no field"),
                                   std::pair(R"({"currency":"EUR","cpuHour":"x"})", "cpuHour"), std::pair(R"({"currency":"EUR","cpuHour":-1})", "cpuHour"),
                                   std::pair(R"({"currency":"EUR","deviceHour":3})", "deviceHour"),
                                   std::pair(R"({"currency":"EUR","deviceHour":{"a/b":null}})", "deviceHour: a/b must be a price")}) {
    const auto read = read_prices(Json::parse(text));
    REQUIRE_FALSE(read);
    CHECK_THAT(read.error().message, Contains(what));
  }
  const auto read = read_prices(Json::parse(R"({"currency":"EUR","cpuHour":"0.031","deviceHour":{"nvidia.com/gpu":"1.20"}})"));
  REQUIRE(read);
  CHECK(read->cpu_hour == 0.031);
  CHECK_FALSE(read->memory_gib_hour);
  CHECK(read->device_hour.at("nvidia.com/gpu") == 1.2);
}

TEST_CASE("pages and tables say what resources cost, and that they do not know it", "[report]") {
  const auto whole = [](bool read, bool priced) {
    Collector c;
    c.add("Model", model());
    c.add("Model", model("churn", "other"));
    Portfolio p = std::move(c).finish(kNow, "all namespaces");
    if (read) take_workloads(p, {*read_workload(deployment({container({{"cpu", "1"}, {"memory", "1Gi"}})}))});
    if (priced) p.prices = kPrices;
    return p;
  };
  const Portfolio unread = whole(false, true);
  CHECK_THAT(resources_page(unread), Contains("unknown: Deployments were not read"));
  CHECK_THAT(to_json(unread).dump(), Contains(R"("cpu":null)"));
  const Portfolio unpriced = whole(true, false);
  CHECK_THAT(resources_page(unpriced), Contains("No prices are known here") && Contains("fraud-v2"));
  CHECK(to_json(*table_of(unpriced, "resources"))[0]["costPerMonth"].is_null());
  const Portfolio p = whole(true, true);
  CHECK_THAT(resources_page(p), Contains("161 EUR") && Contains("By team, EUR a month"));
  CHECK_THAT(model_page(p, *p.model("pay", "fraud")), Contains("Resources and cost") && Contains("161 EUR"));
  CHECK(to_json(*table_of(p, "resources"))[0]["costPerMonth"] == 160.6);
  // Prices go along with what one reader may see; what others ask for does not.
  const Portfolio theirs = only(p, {"other"});
  CHECK_THAT(resources_page(theirs), !Contains("fraud"));
  CHECK(theirs.prices.has_value());
}
