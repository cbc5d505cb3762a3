// Every query of the dashboards and alerts asks for what the operator exports. What model servers export: model_server_dashboards_test.cpp.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "operator/json/json.h"
#include "operator/serve/metrics.h"
#include "operator/store/store.h"

using namespace mo;

namespace {

std::set<std::string> exported() {
  Stores stores;
  auto model = std::make_shared<api::Model>();
  model->meta.key = {"pay", "fraud"};
  model->meta.resource_version = "1";
  model->lifecycle = api::Lifecycle{};
  model->lifecycle->deprecate_at = model->lifecycle->retire_at = model->lifecycle->review_by = *parse_time("2027-01-01T00:00:00Z");
  model->status.monitors = {{}};
  model->status.conditions.resize(1);
  model->status.conditions[0].type = "Compliant";
  stores.models.upsert(std::shared_ptr<const api::Model>(model));
  serve::Metrics metrics("1", {.queue_depth = [] { return size_t{0}; },
                               .events_dropped = [] { return uint64_t{0}; },
                               .leading = [] { return true; },
                               .models_of_others = [] { return size_t{0}; },
                               .audit_export = [] { return std::optional(serve::AuditExport{}); },
                               .stores = &stores});
  metrics.api_call("get", "models", 200, 0.1);
  metrics.reconciled("done", 0.1);
  const std::string text = metrics.text();
  std::set<std::string> names;
  const std::regex sample("\n([a-z_]+)[ {]");
  for (std::sregex_iterator it(text.begin(), text.end(), sample), end; it != end; ++it) names.insert((*it)[1]);
  return names;
}

std::string all_queries() {
  std::string all;
  for (const char* folder : {"dashboards", "alerts"})
    for (const auto& file : std::filesystem::directory_iterator(std::string(MO_SOURCE_DIR) + "/manifests/" + folder)) {
      std::stringstream text;
      text << std::ifstream(file.path()).rdbuf();
      all += text.str();
    }
  return all;
}

}  // namespace

TEST_CASE("dashboards and alerts ask for metrics that the operator exports", "[dashboards]") {
  const auto names = exported();
  CHECK(names.contains("modelops_model_info"));
  const std::string queries = all_queries();
  const std::regex wanted("\\b(modelops_[a-z_]+|model_operator_[a-z_]+)\\b");
  std::set<std::string> asked;
  for (std::sregex_iterator it(queries.begin(), queries.end(), wanted), end; it != end; ++it) asked.insert((*it)[1]);
  CHECK(asked.size() > 10);
  for (const std::string& name : asked) {
    INFO(name);
    CHECK(names.contains(name));
  }
}

TEST_CASE("a Model's dates are told as long as they are to come", "[dashboards]") {
  CHECK(exported().contains("modelops_model_retires_timestamp_seconds"));
  Stores stores;
  auto model = std::make_shared<api::Model>();
  model->meta.key = {"pay", "fraud"};
  model->meta.resource_version = "1";
  model->lifecycle = api::Lifecycle{};
  model->lifecycle->retire_at = *parse_time("2027-01-01T00:00:00Z");
  model->status.phase = model->status.lifecycle.stage = "Retired";
  stores.models.upsert(std::shared_ptr<const api::Model>(model));
  serve::Sources sources;
  sources.stores = &stores;
  const std::string text = serve::Metrics("1", sources).text();
  CHECK(text.find("modelops_model_retires_timestamp_seconds{") == std::string::npos);
  CHECK(text.find("modelops_model_info{namespace=\"pay\",model=\"fraud\",version=\"\",phase=\"Retired\",stage=\"Retired\"} 1") != std::string::npos);
}

TEST_CASE("figures of monitors and gates are told while there are any", "[dashboards]") {
  Stores stores;
  auto model = std::make_shared<api::Model>();
  model->meta.key = {"pay", "fraud"};
  model->meta.resource_version = "1";
  using State = api::MonitorStatus::State;
  for (const auto& [name, state, value] : {std::tuple("drift", State::Breached, "0.3"), std::tuple("lost", State::NoData, "0.1"), std::tuple("odd", State::Ok, "x")}) {
    api::MonitorStatus monitor;
    monitor.name = name;
    monitor.state = state;
    monitor.value = value;
    monitor.version = "fraud-v2";
    model->status.monitors.push_back(monitor);
  }
  stores.models.upsert(std::shared_ptr<const api::Model>(model));
  const auto rollout_named = [&](const std::string& name, bool over) {
    auto rollout = std::make_shared<api::ModelRollout>();
    rollout->meta.key = {"pay", name};
    rollout->meta.resource_version = "1";
    rollout->model = "fraud";
    rollout->version = "fraud-v3";
    if (over) rollout->status.finished = *parse_time("2026-01-01T00:00:00Z");
    rollout->status.gates.resize(2);
    rollout->status.gates[0].name = "f1";
    rollout->status.gates[0].measurements = {{{}, "0.9", "Passed"}, {{}, "0.8", "Failed"}};
    rollout->status.gates[1].name = "unasked";
    stores.rollouts.upsert(std::shared_ptr<const api::ModelRollout>(rollout));
  };
  rollout_named("running", false);
  rollout_named("over", true);
  serve::Sources sources;
  sources.stores = &stores;
  const std::string text = serve::Metrics("1", sources).text();
  CHECK(text.find("modelops_monitor_value{namespace=\"pay\",model=\"fraud\",monitor=\"drift\",version=\"fraud-v2\"} 0.3") != std::string::npos);
  CHECK(text.find("monitor=\"lost\",version") == std::string::npos);
  CHECK(text.find("monitor=\"odd\",version") == std::string::npos);
  CHECK(text.find("modelops_gate_value{namespace=\"pay\",model=\"fraud\",rollout=\"running\",gate=\"f1\",version=\"fraud-v3\"} 0.8") != std::string::npos);
  CHECK(text.find("rollout=\"over\"") == std::string::npos);
}
