// What each kind of object costs in the operator's memory: objects as the API server sends them are parsed into the stores, and the heap is
// read before and after. Prints a table; exits with 1 if a kind costs more than is promised in docs/architecture.md.
//
//   memory_bench [--models N] [--rollouts N]
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "operator/api/parse.h"
#include "operator/json/json.h"
#include "operator/store/store.h"

namespace mo {
namespace {

Json metadata(const std::string& name, int number, const std::string& owner = "") {
  char uid[40];
  std::snprintf(uid, sizeof uid, "0f2c9a54-7d1e-4b6a-9c3d-%012d", number);
  Json m = {{"name", name},
            {"namespace", "payments"},
            {"uid", uid},
            {"resourceVersion", std::to_string(100'000 + number)},
            {"generation", 3},
            {"creationTimestamp", "2026-11-22T09:00:00Z"},
            {"labels", {{"app.kubernetes.io/managed-by", "model-operator"}, {"modelops.dev/model", owner}, {"modelops.dev/origin", "spec"}}},
            {"managedFields", {{{"manager", "model-operator"}, {"operation", "Apply"}, {"fieldsV1", {{"f:spec", {{"f:version", Json::object()}}}}}}}}};
  if (!owner.empty())
    m["ownerReferences"] = {{{"apiVersion", "modelops.dev/v1alpha1"}, {"kind", "Model"}, {"name", owner}, {"uid", uid}, {"controller", true}}};
  return m;
}

Json conditions(std::initializer_list<const char*> types) {
  Json list = Json::array();
  for (const char* type : types)
    list.push_back({{"type", type}, {"status", "True"}, {"reason", "Succeeded"}, {"message", "fraud-v7 serves all traffic"},
                    {"lastTransitionTime", "2026-11-22T09:00:00Z"}, {"observedGeneration", 3}});
  return list;
}

// Five steps, and three gates, one of them by a Job.
Json policy() {
  Json p = Json::parse(R"({"strategy": "Canary", "onFailure": "Rollback", "progressDeadlineSeconds": 600, "keepWarm": 0,
    "steps": [{"weight": 5}, {"gates": ["errors", "latency"]}, {"weight": 25}, {"gates": ["errors", "fairness"]}, {"weight": 50}]})");
  for (const char* name : {"errors", "latency"})
    p["gates"].push_back({{"name", name},
                          {"prometheus", {{"query", "sum(rate(model_requests_total{namespace=\"{{namespace}}\",version=\"{{candidate}}\",code!=\"200\"}[1m])) / "
                                                    "sum(rate(model_requests_total{namespace=\"{{namespace}}\",version=\"{{candidate}}\"}[1m]))"}}},
                          {"max", "0.05"}, {"interval", "10s"}, {"count", 3}});
  Json container = {{"name", "check"}, {"image", "registry.example/fairness:3"}, {"args", {"--metric", "impact"}},
                    {"resources", {{"requests", {{"cpu", "1"}, {"memory", "1Gi"}}}, {"limits", {{"memory", "1Gi"}}}}}};
  p["gates"].push_back({{"name", "fairness"}, {"min", "0.8"},
                        {"job", {{"metric", "impact"}, {"template", {{"spec", {{"template", {{"spec", {{"containers", {container}}}}}}}}}}}}});
  return p;
}

Json model(int number) {
  const std::string name = "fraud-" + std::to_string(number);
  return {{"metadata", metadata(name, number)},
          {"spec",
           {{"track", "Pinned"}, {"version", name + "-v7"}, {"rollout", policy()},
            {"serving", {{"replicas", 3}, {"template", {{"spec", {{"containers", {{{"name", "server"}, {"env", {{{"name", "A"}, {"value", "b"}}}}}}}}}}}}}}},
          {"status",
           {{"observedGeneration", 3}, {"phase", "Ready"}, {"message", name + "-v7 serves"}, {"stableVersion", name + "-v7"}, {"rollout", name + "-v7-3"},
            {"conditions", conditions({"Ready", "Reconciling", "Stalled", "Available"})},
            {"traffic", {{{"version", name + "-v7"}, {"weight", 100}}}},
            {"spec", {{"version", name + "-v7"}, {"revision", "0123456789abcdef"}, {"generation", 3}}},
            {"intent", {{"version", name + "-v7"}, {"origin", "Spec"}, {"rollout", name + "-v7-3"}, {"outcome", "Succeeded"}, {"since", "2026-11-22T09:00:00Z"}}}}}};
}

Json version(int number) {
  const std::string owner = "fraud-" + std::to_string(number % 1'000);
  return {{"metadata", metadata(owner + "-v" + std::to_string(number), number, owner)},
          {"spec",
           {{"modelRef", {{"name", owner}}},
            {"artifact", {{"uri", "s3://models/" + owner + "/" + std::to_string(number)}, {"digest", "sha256:" + std::string(64, 'a')}, {"format", {{"name", "sklearn"}, {"version", "1"}}}}},
            {"lineage", {{"parent", owner + "-v1"}}}, {"metrics", {{"f1", "0.93"}, {"auc", "0.97"}}}}},
          {"status", {{"observedGeneration", 1}, {"phase", "Superseded"}, {"message", "after it came " + owner + "-v8"}, {"served", true},
                      {"conditions", conditions({"Ready", "Reconciling", "Stalled"})}}}};
}

Json rollout(int number, bool over) {
  const std::string owner = "fraud-" + std::to_string(number % 1'000);
  Json gates = Json::array();
  for (const char* name : {"errors", "latency", "fairness"}) {
    Json gate = {{"name", name}, {"verdict", "Passed"}, {"value", "0.0123"}, {"passed", 3}, {"failed", 0}, {"inconclusive", 0}};
    for (int i = 0; i < 3; ++i) gate["measurements"].push_back({{"at", "2026-11-22T09:00:00Z"}, {"value", "0.0123"}, {"verdict", "Passed"}});
    gates.push_back(std::move(gate));
  }
  Json status = {{"observedGeneration", 3}, {"phase", over ? "Succeeded" : "Progressing"}, {"message", owner + "-v7 serves all traffic"},
                 {"fromVersion", owner + "-v6"}, {"step", {{"index", 5}, {"count", 5}, {"description", "done"}}}, {"stepSummary", "5/5"},
                 {"weights", {{"stable", 0}, {"candidate", 100}}}, {"gates", gates}, {"startedAt", "2026-11-22T09:00:00Z"},
                 {"stepStartedAt", "2026-11-22T09:00:00Z"}, {"policy", policy()},
                 {"conditions", conditions({"Ready", "Reconciling", "Stalled", "Complete", "Succeeded"})}};
  if (over) status["finishedAt"] = "2026-11-22T10:00:00Z";
  return {{"metadata", metadata(owner + "-v7-" + std::to_string(number), number, owner)},
          {"spec", {{"modelRef", {{"name", owner}}}, {"version", owner + "-v7"}}},
          {"status", status}};
}

size_t heap() {
  malloc_trim(0);
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

bool held = true;

// `make(i)` for i < count into `store`; `most`: bytes an object may cost.
template <class T>
void measure(const char* what, Store<T>& store, int count, size_t most, const std::function<Json(int)>& make) {
  size_t sent = 0;
  store.upsert(*api::parse<T>(make(count).dump()));  // the parser keeps a buffer of its own
  const size_t before = heap();
  for (int i = 0; i < count; ++i) {
    const std::string text = make(i).dump();
    sent += text.size();
    auto object = api::parse<T>(text);
    if (!object) std::abort();
    store.upsert(std::move(*object));
  }
  const size_t each = (heap() - before) / static_cast<size_t>(count);
  const bool holds = each <= most;
  held &= holds;
  std::printf("%-34s%8d%14zu%12zu%12zu%s\n", what, count, sent / static_cast<size_t>(count), each, most, holds ? "" : "  NOT HELD");
}

}  // namespace
}  // namespace mo

int main(int argc, char** argv) {
  int models = 1'000, rollouts = 10'000;
  for (int i = 1; i + 1 < argc; i += 2) (std::string(argv[i]) == "--models" ? models : rollouts) = std::max(1, std::atoi(argv[i + 1]));
  mo::Stores stores, live;
  std::printf("%-34s%8s%14s%12s%12s\n", "", "objects", "bytes of JSON", "bytes kept", "promised");
  mo::measure<mo::api::Model>("Models", stores.models, models, 12'288, mo::model);
  mo::measure<mo::api::ModelVersion>("ModelVersions", stores.versions, rollouts, 3'072, mo::version);
  mo::measure<mo::api::ModelRollout>("ModelRollouts under way", live.rollouts, models, 12'288, [](int i) { return mo::rollout(i, false); });
  mo::measure<mo::api::ModelRollout>("finished ModelRollouts", stores.rollouts, rollouts, 2'048, [](int i) { return mo::rollout(i, true); });
  return mo::held ? 0 : 1;
}
