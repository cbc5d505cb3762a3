// The ways to a new version other than by shares: at once, with no room for both; what watches in the background, and what comes after.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

Fixture asking_for_v2(Sim& s, const Json& rollout, bool routed = false) {
  s.world.has_gateway = routed;
  Fixture f = usual(s, [&](Json& spec) {
    spec["rollout"].update(rollout);
    if (routed) spec["serving"]["route"] = {{"parentRefs", {{{"name", "gw"}}}}};
  });
  s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
  return f;
}

Json steps(const char* text) { return {{"steps", Json::parse(text)}}; }

Json with(Json rollout, const char* more) {
  rollout.update(Json::parse(more));
  return rollout;
}

const char* const kBlueGreen = R"({"strategy": "BlueGreen"})";
const char* const kRecreate = R"({"strategy": "Recreate"})";

void never_passes(Sim& s, const std::string& gate) {
  s.op.metrics[gate + " m-v2"] = "0.1";
  s.invariants.must_not_pass.insert(gate + "/m-v2");
}

TEST_CASE("blue-green: full size and its gates before the switch, nobody sees it until then") {
  explore<int>({0, 1}, [](Sim& s, const int& routed) {
    Fixture f = asking_for_v2(s, with(steps(R"([{"gates": ["accuracy"]}, {"pause": {}}])"), kBlueGreen), routed);
    s.expect = [f] {
      f.must_be(f.to("m-v2"), "Paused");
      must(f.ready_pods("m-v2") == 2 && f.ready_pods("m-v1") == 2, "both at full size");
      must(f.status()["trafficSummary"] == "m-v1 100%", f.status().dump(1));
    };
  });
}

TEST_CASE("blue-green: gates after the switch bring everything back") {
  explore<int>({0, 1}, [](Sim& s, const int& routed) {
    Fixture f = asking_for_v2(s, with(steps(R"([{"weight": 100}, {"gates": ["accuracy"]}])"), kBlueGreen), routed);
    never_passes(s, "accuracy");
    s.expect = [f] {
      f.must_be_degraded("RolledBack", "m-v1");
      must(f.s.world.all(Kind::Deployment).size() == 1, "a Deployment is left over");
    };
  });
}

TEST_CASE("blue-green succeeds") {
  explore<int>({0, 1}, [](Sim& s, const int& routed) {
    Fixture f = asking_for_v2(s, with(steps(R"([{"gates": ["accuracy"]}, {"weight": 100}, {"gates": ["accuracy"]}])"), kBlueGreen), routed);
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("recreate: the pods of the two are never there together") {
  explore<int>({0, 1}, [](Sim& s, const int& routed) {
    Fixture f = asking_for_v2(s, with(steps(R"([{"pause": {"duration": "1m"}}])"), kRecreate), routed);
    s.invariants.disturbed = true;  // nobody is served in between
    s.controllers.pod_fate = [f](const Json& pod) {
      const std::string version = pod["metadata"]["labels"][api::kLabelVersion];
      const int others = f.ready_pods(version == "m-v1" ? "m-v2" : "m-v1");
      must(others == 0, "pods of both");
      return PodFate::Ready;
    };
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("recreate: a new version that never gets ready gives way to the old one") {
  explore<int>({0, 1}, [](Sim& s, const int& routed) {
    Fixture f = asking_for_v2(s, with(steps(R"([{"weight": 100}])"), kRecreate), routed);
    s.invariants.disturbed = true;
    s.controllers.pod_fate = [](const Json& pod) {
      return pod["metadata"]["labels"][api::kLabelVersion] == "m-v2" ? PodFate::Never : PodFate::Ready;
    };
    s.expect = [f] {
      f.must_be_degraded("RolledBack", "m-v1");
      must(f.ready_pods("m-v1") == 2, "m-v1 is not back");
    };
  });
}

TEST_CASE("a gate in the background that fails ends the rollout in the middle of a pause") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s, steps(R"([{"weight": 50}, {"background": ["accuracy"]}, {"pause": {}}])"));
    never_passes(s, "accuracy");
    s.invariants.must_not_pass.clear();  // it holds nothing up
    s.expect = [f] { f.must_be_degraded("RolledBack", "m-v1"); };
  });
}

TEST_CASE("a gate in the background that passes holds nothing up") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s, steps(R"([{"weight": 50}, {"background": ["accuracy"]}, {"pause": {"duration": "3m"}}])"));
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("a dry run tells and promotes") {
  explore<int>({0, 1}, [](Sim& s, const int& no_data) {
    s.world.has_gateway = false;
    Fixture f = asking_for_v2(s, steps(R"([{"weight": 50}, {"gates": ["accuracy"]}])"));
    f.model_spec["rollout"]["gates"][0]["dryRun"] = true;
    s.then("makes it a dry run", [] { return true; }, [f]() mutable {
      f.edit_spec([](Json& spec) { spec["rollout"]["gates"][0]["dryRun"] = true; });
    });
    s.then("asks for m-v3", f.serves("m-v2"), [f]() mutable { f.ask_for("m-v3"); });
    if (no_data)
      s.op.metrics.erase("accuracy m-v3");
    else
      s.op.metrics["accuracy m-v3"] = "0.1";
    s.expect = [f, no_data] {
      f.must_serve("m-v3");
      const Json& gate = (*f.rollout(f.to("m-v3")))["status"]["gates"][0];
      must(gate["verdict"] == (no_data ? "Inconclusive" : "Failed"), gate.dump());
    };
  });
}

TEST_CASE("a bake that goes well, and one that a breach ends") {
  explore<int>({0, 1, 2}, [](Sim& s, const int& how) {
    const Json bake = Json::parse(R"({"bake": {"duration": "2m", "gates": ["errors"]}})");
    Fixture f(s);
    f.model_spec["rollout"]["gates"].push_back(prometheus_gate("errors", "0.5"));
    f.model_spec["rollout"].update(bake);
    f.make_runtime();
    for (const char* version : {"m-v1", "m-v2", "m-v3"}) f.make_version(version);
    f.make_model();
    s.op.metrics["errors m-v2"] = "0.9";
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    if (how > 0)
      s.then("goes bad, or a person aborts",
             [f, &s] { return f.phase(f.to("m-v2")) == "Baking"; },
             [f, &s, how]() mutable {
               if (how == 1) s.op.metrics["errors m-v2"] = "0.1";
               if (how == 2 && f.phase(f.to("m-v2")) != "Succeeded") f.desire(f.to("m-v2"), "Aborted");
             });
    s.expect = [f, how] {
      const std::string phase = f.phase(f.to("m-v2"));
      if (how == 0 || phase == "Succeeded") return f.must_serve("m-v2");
      must(f.stable() == "m-v1" && f.ready_pods("m-v1") == 2, "m-v1 is not back: " + phase);
      must(phase == (how == 1 ? "RolledBack" : "Aborted"), phase);
    };
  });
}

// It kept the pods that the last step left, and whoever aborted waited for the others.
TEST_CASE("a bake that keeps all replicas has the old version stand by whole") {
  explore<const char*>({"All", "Last"}, [](Sim& s, const char* keep) {
    Fixture f = usual(s, [&](Json& spec) {
      spec["serving"]["replicas"] = 4;
      spec["rollout"]["steps"] = Json::parse(R"([{"weight": 50}])");
      spec["rollout"]["bake"] = {{"duration", "5m"}, {"keepReplicas", keep}};
    });
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    const int pods = std::string(keep) == "All" ? 4 : 2;
    s.then("aborts", [f, pods] { return f.phase(f.to("m-v2")) == "Baking" && f.ready_pods("m-v2") == 4 && f.ready_pods("m-v1") == pods; },
           [f]() mutable { f.desire(f.to("m-v2"), "Aborted"); });
    s.expect = [f] {
      must(f.stable() == "m-v1" && f.ready_pods("m-v1") == 4, "m-v1 is not back");
      f.must_be(f.to("m-v2"), "Aborted");
    };
  });
}

TEST_CASE("a version that is kept warm has its pods, and takes over at once") {
  explore<int>({0, 1}, [](Sim& s, const int& routed) {
    Fixture f = asking_for_v2(s, with(steps(R"([{"weight": 100}])"), R"({"keepWarm": 1})"), routed);
    s.then("goes back", [f, routed] { return f.stable() == "m-v2" && f.phase(f.to("m-v2")) == "Succeeded" && f.ready(); },
           [f, &s]() mutable {
             must(f.ready_pods("m-v1") == 2, "m-v1 went cold");
             must(f.status()["warmVersions"] == Json({"m-v1"}), f.status().dump(1));
             s.world.create({{"kind", "ModelRollout"},
                             {"metadata", {{"name", "back"}}},
                             {"spec", {{"modelRef", {{"name", "m"}}}, {"version", "m-v1"}, {"desiredState", "Promoted"}}}},
                            "kubectl");
           });
    s.expect = [f] {
      f.must_be("back", "Succeeded");
      must(f.stable() == "m-v1", f.stable());
      must(f.status()["warmVersions"] == Json({"m-v2"}) && f.ready_pods("m-v2") == 2, f.status().dump(1));
    };
  });
}

Json gate_of(const char* text) { return Json::parse(text); }

const char* const kFairness = R"({"name": "fairness", "min": "0.8", "job": {"metric": "impact", "template": {"spec":
    {"template": {"spec": {"containers": [{"name": "check", "image": "check"}]}}}}}})";

TEST_CASE("a gate by Job: one that passes, fails, reports nothing, fails itself") {
  explore<int>({0, 1, 2, 3}, [](Sim& s, const int& how) {
    Fixture f = usual(s, [](Json& spec) {
      spec["rollout"]["gates"].push_back(gate_of(kFairness));
      spec["rollout"]["steps"] = Json::parse(R"([{"weight": 50}, {"gates": ["fairness"]}])");
    });
    s.op.job_result = [how](const std::string&) -> std::string {
      if (how == 2) return R"({"apiVersion": "modelops.dev/v1alpha1", "kind": "RunResult", "metrics": {"other": "1"}})";
      if (how == 3) return "it broke";
      return R"({"apiVersion": "modelops.dev/v1alpha1", "kind": "RunResult", "metrics": {"impact": ")" + std::string(how == 0 ? "0.9" : "0.7") + "\"}}";
    };
    if (how == 3) s.controllers.job_fate = [&s](const std::string& job) { return JobFate{s.world.get(ref(Kind::Job, job))["metadata"]["labels"].contains(api::kLabelGateOf) ? JobFate::Is::Failed : JobFate::Is::Complete, ""}; };
    // A first version runs it too: it needs no traffic.
    s.then("asks for m-v2", [f, how] { return how > 0 || f.serves("m-v1")(); }, [f]() mutable { f.ask_for("m-v2"); });
    s.expect = [f, how] {
      if (how == 0) return f.must_serve("m-v2");
      must(f.stable().empty(), f.status().dump(1));
      const std::string phase = f.phase(f.to("m-v2"));
      must(phase == (how == 1 ? "Failed" : "Paused"), phase + ": " + f.status().dump(1));
    };
  });
}

TEST_CASE("a gate's Job ends with its rollout") {
  explore([](Sim& s) {
    Fixture f = usual(s, [](Json& spec) {
      spec["rollout"]["gates"].push_back(gate_of(kFairness));
      spec["rollout"]["steps"] = Json::parse(R"([{"weight": 50}, {"pause": {"duration": "1s"}}])");
    });
    s.controllers.job_fate = [](const std::string&) { return JobFate{JobFate::Is::Hangs, ""}; };
    s.then("gives it a gate", f.serves("m-v1"), [f]() mutable {
      f.edit_spec([](Json& spec) {
        spec["rollout"]["steps"] = Json::parse(R"([{"weight": 50}, {"gates": ["fairness"]}])");
        spec["version"] = "m-v2";
      });
    });
    s.then("aborts", [&s] { return !s.world.all(Kind::Job).empty(); }, [f]() mutable { f.desire(f.to("m-v2"), "Aborted"); });
    s.expect = [f, &s] {
      f.must_be(f.to("m-v2"), "Aborted");
      must(s.world.all(Kind::Job).empty(), "the Job is left over");
    };
  });
}

TEST_CASE("a gate by a web service") {
  explore<int>({0, 1, 2}, [](Sim& s, const int& how) {
    Fixture f = usual(s, [](Json& spec) {
      spec["rollout"]["gates"].push_back(gate_of(R"({"name": "audit", "min": "0.5", "web": {"url": "https://audit/{{candidate}}", "path": "score"}})"));
      spec["rollout"]["steps"] = Json::parse(R"([{"weight": 50}, {"gates": ["audit"]}])");
    });
    if (how < 2) s.op.metrics["https://audit/m-v2"] = how == 0 ? "0.9" : "0.1";
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.expect = [f, how] {
      if (how == 0) return f.must_serve("m-v2");
      if (how == 1) return f.must_be_degraded("RolledBack", "m-v1");
      f.must_be(f.to("m-v2"), "Paused");
    };
  });
}

}  // namespace
}  // namespace mo::sim
