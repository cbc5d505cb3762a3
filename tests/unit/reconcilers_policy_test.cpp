// Which gate a name means, and what is wrong when it means none.
#include <catch2/catch.hpp>

#include "reconcilers/rollout/policy.h"
#include "tests/unit/reconcilers_make.h"

namespace mo::rollout {
namespace {

using test::Scene;

api::Gate prometheus(const std::string& name, const std::string& query) {
  api::Gate gate;
  gate.name = name;
  gate.prometheus_query = query;
  gate.min = Decimal::parse("1");
  return gate;
}

api::Gate recorded(const std::string& name) {
  api::Gate gate;
  gate.name = name;
  gate.version_metric = name;
  gate.min = Decimal::parse("1");
  return gate;
}

// Names such a set in the Model, and makes it with these gates.
void add_set(Scene& s, const std::string& name, const std::vector<api::Gate>& gates,
             Kind kind = Kind::ModelGateSet) {
  s.model.rollout.gate_sets.push_back({name, kind});
  auto set = std::make_shared<api::ModelGateSet>();
  set->gates = gates;
  Json raw = Json::array();
  for (const api::Gate& gate : gates) raw.push_back({{"name", gate.name}, {"of", name}});
  set->raw = Json{{"gates", raw}}.dump();
  s.o.gate_sets[s.model.rollout.gate_sets.back().from("ns")] = set;
}

Scene scene(std::vector<std::string> names) {
  Scene s;
  s.model.rollout = {};
  s.model.rollout.steps = {test::weight(10), test::gates(std::move(names))};
  return s;
}

Policy resolved(Scene& s) { return resolve(s.observed()); }

TEST_CASE("a Model without gate sets has the policy that it wrote") {
  Scene s;
  const Observed& o = s.observed();
  const Policy p = resolve(o);
  CHECK(p.policy.get() == &o.model->rollout);
  CHECK(p.rollouts.reason + p.retraining.reason == "");
}

TEST_CASE("which gate a name means") {
  struct Row {
    std::vector<std::string> own, first, second;  // who defines "g"
    std::string query;                            // the one that counts
  };
  const std::vector<std::string> g = {"g"}, none;
  for (const Row& row : std::vector<Row>{{g, none, none, "own"},
                                         {g, g, g, "own"},
                                         {none, g, none, "first"},
                                         {none, g, g, "first"},
                                         {none, none, g, "second"},
                                         {{"other"}, {"other"}, g, "second"}}) {
    Scene s = scene({"g"});
    const auto defined = [](const std::vector<std::string>& names, const std::string& query) {
      std::vector<api::Gate> gates;
      for (const std::string& name : names) gates.push_back(prometheus(name, query));
      return gates;
    };
    s.model.rollout.gates = defined(row.own, "own");
    add_set(s, "a", defined(row.first, "first"), Kind::ClusterModelGateSet);
    add_set(s, "b", defined(row.second, "second"));
    const Policy p = resolved(s);
    CHECK(p.rollouts.message == "");
    REQUIRE(p.policy->gate("g"));
    CHECK(*p.policy->gate("g")->prometheus_query == row.query);
  }
}

TEST_CASE("what is wrong with names and sets, in words") {
  const auto why = [](const std::function<void(Scene&)>& edit) {
    Scene s = scene({"g"});
    edit(s);
    const Policy p = resolved(s);
    CHECK(p.rollouts.stalled == !p.rollouts.reason.empty());
    return p.rollouts.reason + ": " + p.rollouts.message;
  };
  CHECK(why([](Scene& s) { s.model.rollout.gate_sets = {{"shared", Kind::ModelGateSet}}; }) ==
        "GateSetNotFound: ModelGateSet shared does not exist in namespace ns: create it, or correct "
        "spec.rollout.gateSets of Model m");
  CHECK(why([](Scene& s) { s.model.rollout.gate_sets = {{"org", Kind::ClusterModelGateSet}}; }) ==
        "GateSetNotFound: ClusterModelGateSet org does not exist: create it, or correct "
        "spec.rollout.gateSets of Model m");
  CHECK(why([](Scene& s) {
          s.model.rollout.gate_sets = {{"org", Kind::ClusterModelGateSet}};
          s.o.cluster_gate_sets_denied = true;
        }).find("GateSetForbidden: an operator of one namespace may not read ClusterModelGateSet org") == 0);
  // It might define the name before another does.
  CHECK(why([](Scene& s) {
          s.model.rollout.gate_sets = {{"gone", Kind::ModelGateSet}};
          add_set(s, "shared", {prometheus("g", "q")});
        }).find("GateSetNotFound: ModelGateSet gone") == 0);
  CHECK(why([](Scene& s) {
          add_set(s, "a", {prometheus("h", "q")});
          add_set(s, "b", {}, Kind::ClusterModelGateSet);
        }) ==
        "GateUndefined: step 2 names gate g, which neither rollout.gates nor ModelGateSet a or ClusterModelGateSet b "
        "defines: define it there or correct the name");
  CHECK(why([](Scene& s) {
          add_set(s, "a", {prometheus("g", "q")});
          s.model.rollout.bake = api::RolloutPolicy::Bake{Duration(1), {"h"}};
        }).find("GateUndefined: bake names gate h, which") == 0);
  CHECK(why([](Scene& s) {
          add_set(s, "a", {prometheus("g", "q")});
          s.model.rollout.steps.emplace_back().background = {"h"};
        }).find("GateUndefined: step 3 names gate h, which") == 0);
  CHECK(why([](Scene& s) {
          api::Gate unknown = prometheus("g", "");
          unknown.prometheus_query.reset();
          add_set(s, "a", {unknown});
        }).find("GateUndefined: step 2 names gate g, but this operator does not support its kind; it is defined in ModelGateSet a") ==
        0);
  CHECK(why([](Scene& s) {
          add_set(s, "a", {prometheus("g", "q")});
          auto spoilt = std::make_shared<api::ModelGateSet>();
          spoilt->problem = "spec.gates[0].max: is not a text";
          s.o.gate_sets.begin()->second = spoilt;
        }) == "InvalidGateSet: ModelGateSet a: spec.gates[0].max: is not a text");
}

TEST_CASE("training's gates are its own affair") {
  const auto scene_of = [](std::vector<std::string> gates) {
    Scene s = scene({"g"});
    add_set(s, "a", {prometheus("g", "q"), recorded("r")});
    s.model.retraining.emplace().gates = std::move(gates);
    return s;
  };
  for (const auto& [names, reason] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"r"}, ""}, {{"none"}, "GateUndefined"}, {{"g"}, "GateUnsuitable"}, {{}, ""}}) {
    Scene s = scene_of(names);
    const Policy p = resolved(s);
    CHECK(p.retraining.reason == reason);
    CHECK(p.rollouts.reason == "");
  }
  Scene s = scene_of({"r"});
  s.o.gate_sets.clear();
  CHECK(resolved(s).retraining.reason == "GateSetNotFound");
  s.model.retraining->gates.clear();
  CHECK(resolved(s).retraining.reason == "");
  CHECK(resolved(s).rollouts.reason == "GateSetNotFound");
}

TEST_CASE("what a rollout keeps is the Model's policy with the gates that are named, and no others") {
  Scene s = scene({"g", "own"});
  s.model.rollout.gates = {prometheus("own", "own")};
  s.model.rollout.raw = R"({"gateSets":[{"name":"a"}],"gates":[{"name":"own"}],"steps":[]})";
  add_set(s, "a", {prometheus("g", "q"), prometheus("own", "q"), prometheus("unused", "q")});
  CHECK(resolved(s).policy->raw == s.model.rollout.raw);  // nobody is about to start
  s.rollout("m-v2-2", "m-v2");
  CHECK(resolved(s).policy->raw ==
        R"({"gateSets":[{"name":"a"}],"gates":[{"name":"own"},{"name":"g","of":"a"}],"steps":[]})");
}

TEST_CASE("gates that a status cannot hold are said, not forgotten") {
  Scene s = scene({"g"});
  add_set(s, "a", {prometheus("g", "q")});
  s.rollout("m-v2-2", "m-v2");
  auto large = std::make_shared<api::ModelGateSet>();
  large->gates = {prometheus("g", "q")};
  large->raw = Json{{"gates", {{{"name", "g"}, {"job", std::string(kLargestPolicy, 'x')}}}}}.dump();
  s.o.gate_sets.begin()->second = large;
  const Policy p = resolved(s);
  CHECK(p.rollouts.reason == "GateSetTooLarge");
  CHECK(p.policy->raw == s.model.rollout.raw);
}

// ---- required ----

api::Gate required(const std::string& name, const std::string& query) {
  api::Gate gate = prometheus(name, query);
  gate.required = true;
  return gate;
}

TEST_CASE("a required gate is there although no step names it, and nothing takes its place") {
  Scene s = scene({"g"});
  s.model.rollout.gates = {prometheus("g", "own"), prometheus("h", "own"), prometheus("mine", "own")};
  s.model.rollout.raw = R"({"gates":[{"name":"g","of":"own"},{"name":"h","of":"own"},{"name":"mine","of":"own"}]})";
  add_set(s, "team", {prometheus("g", "team")});
  add_set(s, "everybody", {required("g", "all"), required("h", "all"), prometheus("i", "all")}, Kind::ClusterModelGateSet);
  s.rollout("r", "m-v2");
  const Policy p = resolved(s);
  CHECK(p.rollouts.reason == "");
  CHECK_FALSE(p.required_unknown);
  // Required gates were taken for the namespace's: their web gates asked with its tokens, not with the cluster's.
  CHECK(p.policy->cluster_gates == std::vector<std::string>{"g", "h"});
  for (const char* name : {"g", "h"}) {
    REQUIRE(p.policy->gate(name));
    CHECK(*p.policy->gate(name)->prometheus_query == "all");
    CHECK(p.policy->gate(name)->required);
  }
  CHECK_FALSE(p.policy->gate("i"));
  CHECK(p.policy->gates.size() == 3);
  const Json raw = Json::parse(p.policy->raw);
  CHECK(raw["gates"] == Json::parse(R"([{"name":"mine","of":"own"},{"name":"g","of":"everybody"},{"name":"h","of":"everybody"}])"));
}

TEST_CASE("two sets that require a gate of one name must agree about it") {
  Scene s = scene({});
  s.model.rollout.steps = {test::weight(10)};
  add_set(s, "a", {required("g", "a")}, Kind::ClusterModelGateSet);
  add_set(s, "b", {required("g", GENERATE("a", "b"))}, Kind::ClusterModelGateSet);
  const bool agree = s.o.gate_sets.at({Kind::ClusterModelGateSet, {"", "b"}})->gates[0].prometheus_query == "a";
  const Policy p = resolved(s);
  CHECK(p.rollouts.reason == (agree ? "" : "GateConflict"));
  CHECK(p.required_unknown == !agree);
}

}  // namespace
}  // namespace mo::rollout
