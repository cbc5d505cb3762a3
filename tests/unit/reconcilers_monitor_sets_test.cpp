// Which monitor a name means, and what is wrong with the sets of monitors that a Model names.
#include <catch2/catch.hpp>

#include "operator/api/statuses.h"
#include "reconcilers/monitors/monitors.h"
#include "reconcilers/monitors/sets.h"
#include "tests/unit/reconcilers_make.h"

namespace mo::monitors {
namespace {

using test::kNow;
using test::Scene;

api::Monitor monitor(const std::string& name, const std::string& query, bool required = false) {
  api::Monitor m;
  m.figure.name = name;
  m.figure.prometheus_query = query;
  m.figure.max = Decimal::parse("0.2");
  m.required = required;
  return m;
}

std::shared_ptr<api::ModelGateSet> add_set(Scene& s, const std::string& name, const std::vector<api::Monitor>& monitors,
                                           Kind kind = Kind::ModelGateSet) {
  s.model.monitor_sets.push_back({name, kind});
  auto set = std::make_shared<api::ModelGateSet>();
  set->monitors = monitors;
  s.o.gate_sets[s.model.monitor_sets.back().from("ns")] = set;
  return set;
}

// "name=query", in order.
std::string watched(Scene& s) {
  std::string all;
  for (const api::Monitor& m : watched_of(s.observed()).monitors) all += (all.empty() ? "" : " ") + m.figure.name + "=" + *m.figure.prometheus_query;
  return all;
}

std::string problem(Scene& s) {
  const Watched watched = watched_of(s.observed());
  return watched.problem_reason.empty() ? "" : watched.problem_reason + ": " + watched.problem;
}

TEST_CASE("which monitor a name means") {
  Scene s;
  s.model.monitors = {monitor("own", "own"), monitor("a", "own")};
  CHECK(watched(s) == "own=own a=own");
  add_set(s, "first", {monitor("b", "first"), monitor("a", "first")});
  add_set(s, "second", {monitor("b", "second"), monitor("c", "second")});
  CHECK(watched(s) == "own=own a=own b=first c=second");
  add_set(s, "everybody", {monitor("a", "everybody", true), monitor("c", "everybody", true), monitor("d", "everybody")}, Kind::ClusterModelGateSet);
  CHECK(watched(s) == "own=own a=everybody b=first c=everybody d=everybody");
  const auto all = watched_of(s.observed()).monitors;
  CHECK((all[0].set.empty() && !all[0].of_cluster));
  CHECK((all[1].set == "ClusterModelGateSet/everybody" && all[1].of_cluster));
  CHECK((all[2].set == "ModelGateSet/first" && !all[2].of_cluster));
  CHECK(problem(s).empty());
}

TEST_CASE("what is wrong with a set of monitors") {
  const auto why = [](const std::function<void(Scene&)>& change) {
    Scene s;
    change(s);
    return problem(s);
  };
  CHECK(why([](Scene& s) { s.model.monitor_sets = {{"gone", Kind::ModelGateSet}}; }) ==
        "GateSetNotFound: ModelGateSet gone does not exist in namespace ns: create it, or correct spec.monitorSets of Model m");
  CHECK_THAT(why([](Scene& s) {
               s.model.monitor_sets = {{"org", Kind::ClusterModelGateSet}};
               s.o.cluster_gate_sets_denied = true;
             }),
             Catch::StartsWith("GateSetForbidden: an operator of one namespace may not read ClusterModelGateSet org: put its monitors into"));
  CHECK(why([](Scene& s) { add_set(s, "a", {})->problem = "spec.monitors[0].max: is not a text"; }) ==
        "InvalidGateSet: ModelGateSet a: spec.monitors[0].max: is not a text");
  CHECK_THAT(why([](Scene& s) {
               add_set(s, "a", {monitor("drift", "a", true)}, Kind::ClusterModelGateSet);
               add_set(s, "b", {monitor("drift", "b", true)}, Kind::ClusterModelGateSet);
             }),
             Catch::StartsWith("MonitorConflict: ClusterModelGateSet a and ClusterModelGateSet b both require monitor drift"));
  CHECK(why([](Scene& s) {
          add_set(s, "a", {monitor("drift", "same", true)}, Kind::ClusterModelGateSet);
          add_set(s, "b", {monitor("drift", "same", true)}, Kind::ClusterModelGateSet);
        }).empty());
  CHECK_THAT(why([](Scene& s) {
               add_set(s, "a", {api::Monitor{}});
               s.model.monitors.clear();
             }),
             Catch::Contains("has a kind that this operator does not support"));
  const auto by_trigger = [](Scene& s, const std::string& name) {
    s.model.retraining.emplace();
    s.model.retraining->triggers.emplace_back();
    s.model.retraining->triggers[0].name = "t";
    s.model.retraining->triggers[0].monitor = name;
    add_set(s, "a", {monitor("drift", "a")});
  };
  CHECK(why([&](Scene& s) { by_trigger(s, "drift"); }).empty());
  CHECK(why([&](Scene& s) { by_trigger(s, "drifts"); }) ==
        "MonitorUndefined: trigger t names monitor drifts, which neither spec.monitors nor ModelGateSet a defines: define it there or correct the name");
  CHECK_THAT(why([&](Scene& s) {
               by_trigger(s, "drifts");
               s.model.monitor_sets.push_back({"gone", Kind::ModelGateSet});  // which might define it
             }),
             Catch::StartsWith("GateSetNotFound"));
}

TEST_CASE("there are so many monitors and no more") {
  Scene s;
  s.model.monitors = {monitor("own", "own")};
  std::vector<api::Monitor> many;
  for (int i = 0; i < 80; ++i) many.push_back(monitor("m" + std::to_string(i), "q"));
  add_set(s, "many", many);
  CHECK(watched_of(s.observed()).monitors.size() == kMostMonitors);
  CHECK_THAT(problem(s), Catch::StartsWith("TooManyMonitors: the Model and its sets have 81 monitors, and only the first 60 are watched"));
}

TEST_CASE("a set that goes loses nothing of what is known of its monitors, and starts nothing anew when it is back") {
  Scene s;
  s.serving("m-v1");
  const auto set = add_set(s, "shared", {monitor("drift", "q")});
  set->monitors[0].hold = true;
  const auto look = [&](const char* value, TimePoint at) {
    for (const Ask& ask : watch(s.observed(), "m-v1", at).asks) s.o.answers[ask.id] = {at, {Decimal::parse(value), ""}, {}, {}, {}, {}};
    Decision decision = watch(s.observed(), "m-v1", at);
    s.model.status.monitors = decision.status;
    return decision;
  };
  const Decision breached = look("0.4", kNow);
  REQUIRE(breached.status.size() == 1);
  CHECK(breached.status[0].set == "ModelGateSet/shared");
  CHECK(to_json(breached.status)[0]["set"] == "ModelGateSet/shared");
  CHECK_THAT(breached.hold, Catch::Contains("held by monitor drift"));

  const auto sets = std::exchange(s.o.gate_sets, {});
  const Decision gone = watch(s.observed(), "m-v1", kNow + std::chrono::minutes(1));
  CHECK(gone.status == breached.status);
  CHECK(gone.asks.empty());
  CHECK(gone.hold.empty());  // nobody knows what it says now
  CHECK(gone.problem_reason == "GateSetNotFound");
  CHECK(health_of(gone.status, gone.problem_reason, gone.problem).reason == "MonitorBreached");
  CHECK(health_of({}, gone.problem_reason, gone.problem).reason == "GateSetNotFound");

  s.o.gate_sets = sets;
  CHECK(watch(s.observed(), "m-v1", kNow + std::chrono::minutes(2)).events.empty());
  s.model.monitor_sets.clear();  // the Model takes it away: that forgets it
  CHECK(watch(s.observed(), "m-v1", kNow + std::chrono::minutes(2)).status.empty());
}

}  // namespace
}  // namespace mo::monitors
