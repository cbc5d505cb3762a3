// Gates that Models share: read when a rollout starts, missed while they are not there, and left alone afterwards.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

constexpr const char* kKinds[] = {"ModelGateSet", "ClusterModelGateSet"};

void make_set(Sim& s, const std::string& name, const std::string& least, const std::string& kind = kKinds[0],
              const std::string& gate = "accuracy") {
  s.world.create({{"kind", kind},
                  {"metadata", {{"name", name}}},
                  {"spec", {{"gates", {prometheus_gate(gate, least)}}}}},
                 "kubectl");
}

Json sets(std::vector<std::string> names, const std::string& kind = kKinds[0]) {
  Json out = Json::array();
  for (const std::string& name : names) out.push_back({{"name", name}, {"kind", kind}});
  return out;
}

// m-v1 serves; m-v2 is asked for past gates of sets.
Fixture asking_for_v2(Sim& s, const Json& gate_sets, const Json& own = Json::array()) {
  Fixture f = usual(s);
  s.then("asks for m-v2", f.serves("m-v1"), [f, gate_sets, own]() mutable {
    f.edit_spec([&](Json& spec) {
      spec["version"] = "m-v2";
      spec["rollout"]["gates"] = own;
      spec["rollout"]["gateSets"] = gate_sets;
    });
  });
  return f;
}

std::function<bool()> waits(const Fixture& f, const std::string& reason) {
  return [f, reason] {
    return f.condition("Stalled") == "True" && f.reason("Stalled") == reason && f.phase(f.to("m-v2")) == "Pending";
  };
}

void must_serve_on(const Fixture& f) {
  must(f.stable() == "m-v1" && f.ready_pods("m-v1") == 2 && f.ready_pods("m-v2") == 0, "m-v1 should serve on");
  must(f.condition("Available") == "True", "should be Available");
}

TEST_CASE("a rollout whose gate set is missing waits, and goes on once the set is there") {
  explore<int>({0, 1}, [](Sim& s, const int& kind) {
    const Fixture f = asking_for_v2(s, sets({"shared"}, kKinds[kind]));
    s.then("makes the set", waits(f, "GateSetNotFound"), [f, &s, kind] {
      must_serve_on(f);
      const std::string message = f.status()["message"];
      must(message.find(std::string(kKinds[kind]) + " shared does not exist") != std::string::npos, message);
      make_set(s, "shared", "0.9", kKinds[kind]);
    });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

// The token that is the whole cluster's went to whatever a Model's author wrote.
TEST_CASE("which gates are a ClusterModelGateSet's is on record, and no Model can say it of its own") {
  explore<int>({0, 1, 2}, [](Sim& s, const int& variant) {
    const Fixture f = asking_for_v2(s, sets({"shared"}, kKinds[variant != 0]),
                                    variant == 2 ? Json::array({prometheus_gate("accuracy", "0.9")}) : Json::array());
    make_set(s, "shared", "0.9", kKinds[variant != 0]);
    s.expect = [f, variant] {
      f.must_serve("m-v2");
      const Json marked = (*f.rollout(f.to("m-v2")))["status"].value("clusterGates", Json::array());
      must(marked == (variant == 1 ? Json::array({"accuracy"}) : Json::array()), marked.dump());
    };
  });
}

TEST_CASE("a rollout whose gate set is missing waits for ever if nobody makes it") {
  explore([](Sim& s) {
    const Fixture f = asking_for_v2(s, sets({"shared"}));
    s.expect = [f] {
      f.must_be(f.to("m-v2"), "Pending");
      f.must_be_degraded("GateSetNotFound", "m-v1");
      must_serve_on(f);
    };
  });
}

TEST_CASE("aborted, or promoted, while a gate set is missing") {
  explore<int>({0, 1}, [](Sim& s, const int& promoted) {
    Fixture f = asking_for_v2(s, sets({"shared"}));
    s.then("has waited enough", waits(f, "GateSetNotFound"),
           [f, promoted]() mutable { f.desire(f.to("m-v2"), promoted ? "Promoted" : "Aborted"); });
    s.expect = [f, promoted] {
      if (promoted) return f.must_serve("m-v2");
      f.must_be(f.to("m-v2"), "Aborted");
      f.must_be_degraded("RolloutAborted", "m-v1");
    };
  });
}

TEST_CASE("a gate that no set defines is waited for") {
  explore([](Sim& s) {
    const Fixture f = asking_for_v2(s, sets({"shared"}));
    make_set(s, "shared", "0.9", kKinds[0], "accurracy");
    s.then("corrects the name", waits(f, "GateUndefined"), [f, &s] {
      must_serve_on(f);
      s.world.update(
          ref(Kind::ModelGateSet, "shared"),
          [](Json& o) { o["spec"]["gates"] = Json::array({prometheus_gate("accuracy", "0.9")}); }, "kubectl");
    });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("a gate set that changes, or goes, does not touch the rollout under way") {
  explore<int>({0, 1}, [](Sim& s, const int& goes) {
    const Fixture f = asking_for_v2(s, sets({"shared"}));
    make_set(s, "shared", "0.9");
    s.then(
        goes ? "deletes the set" : "makes the set stricter", [f] { return f.step(f.to("m-v2")) >= 1; },
        [&s, goes] {
          const ObjectRef set = ref(Kind::ModelGateSet, "shared");
          if (goes) return s.world.remove(set);
          s.world.update(set, [](Json& o) { o["spec"]["gates"][0]["min"] = "0.999"; }, "kubectl");
        });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("a Model's own gate wins over its sets', and the first set over the second") {
  struct Variant {
    std::vector<std::string> sets;
    bool own, passes;
  };
  const std::vector<Variant> variants = {
      {{"lax", "strict"}, false, true}, {{"strict", "lax"}, false, false}, {{"strict"}, true, true}};
  explore<Variant>(variants, [](Sim& s, const Variant& v) {
    const Fixture f =
        asking_for_v2(s, sets(v.sets), v.own ? Json::array({prometheus_gate("accuracy", "0.9")}) : Json::array());
    make_set(s, "lax", "0.9");
    make_set(s, "strict", "0.999");
    if (!v.passes) s.invariants.must_not_pass.insert("accuracy/m-v2");
    s.expect = [f, v] {
      if (v.passes) return f.must_serve("m-v2");
      f.must_be_degraded("RolledBack", "m-v1");
    };
  });
}

TEST_CASE("a first version passes the recorded gate of a set, and has no pod before there is one") {
  explore<int>({0, 1}, [](Sim& s, const int& passes) {
    Fixture f(s);
    f.model_spec["rollout"]["steps"] = Json::parse(R"([{"gates": ["recorded"]}, {"weight": 50}])");
    f.model_spec["rollout"]["gates"] = Json::array();
    f.model_spec["rollout"]["gateSets"] = sets({"shared"});
    f.make_runtime();
    f.make_version("m-v1", {{"f1", passes ? "0.95" : "0.5"}});
    f.make_model();
    s.then(
        "makes the set", [f] { return f.reason("Stalled") == "GateSetNotFound" && f.condition("Stalled") == "True"; },
        [f, &s] {
          must(s.world.all(Kind::Deployment).empty(), "no gate has passed");
          const Json gate = {{"name", "recorded"}, {"version", {{"metric", "f1"}}}, {"min", "0.9"}};
          s.world.create({{"kind", "ModelGateSet"},
                          {"metadata", {{"name", "shared"}}},
                          {"spec", {{"gates", Json::array({gate})}}}},
                         "kubectl");
        });
    s.expect = [f, &s, passes] {
      if (passes) return f.must_serve("m-v1");
      f.must_be(f.to("m-v1"), "Failed");
      must(s.world.all(Kind::Deployment).empty(), "a Deployment of what failed");
    };
  });
}

// Which the Model's steps do not name, and one of its own gates bears its name.
TEST_CASE("a required gate comes before all traffic, Promoted or not") {
  struct Row {
    const char* value;  // of the candidate
    bool promoted;
  };
  explore<Row>({{"0.95", false}, {"0.95", true}, {"0.5", false}, {"0.5", true}, {"", true}}, [](Sim& s, const Row& row) {
    Json gate = prometheus_gate("fairness", "0.9");
    gate["required"] = true;
    s.world.create({{"kind", kKinds[1]}, {"metadata", {{"name", "everybody"}}}, {"spec", {{"gates", {gate}}}}}, "kubectl");
    Fixture f = asking_for_v2(s, sets({"everybody"}, kKinds[1]), {prometheus_gate("accuracy", "0.9"), prometheus_gate("fairness", "0.1")});
    if (*row.value) s.op.metrics["fairness m-v2"] = row.value;
    if (std::string(row.value) != "0.95") s.invariants.must_not_pass = {"fairness/m-v2"};
    if (row.promoted)
      s.then("promotes", [f] { return !f.to("m-v2").empty(); }, [f]() mutable { f.desire(f.to("m-v2"), "Promoted"); });
    s.expect = [f, row] {
      if (std::string(row.value) == "0.95") return f.must_serve("m-v2");
      must(f.stable() == "m-v1", f.stable());
      f.must_be(f.to("m-v2"), *row.value ? "RolledBack" : "Paused");
      must(f.weight(f.to("m-v2")) < 100, "the weight moved");
    };
  });
}

TEST_CASE("one goes back to what served before without its required gates") {
  explore([](Sim& s) {
    Json gate = prometheus_gate("fairness", "0.9");
    gate["required"] = true;
    s.world.create({{"kind", kKinds[1]}, {"metadata", {{"name", "everybody"}}}, {"spec", {{"gates", {gate}}}}}, "kubectl");
    s.op.metrics["fairness m-v2"] = "0.95";
    Fixture f = asking_for_v2(s, sets({"everybody"}, kKinds[1]), Json::array({prometheus_gate("accuracy", "0.9")}));
    s.then("goes back", f.serves("m-v2"), [f]() mutable {
      f.make_rollout("back", "m-v1");
      f.desire("back", "Promoted");
    });
    s.expect = [f] { f.must_be("back", "Succeeded"); };
  });
}

}  // namespace
}  // namespace mo::sim
