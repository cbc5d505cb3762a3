// An autoscaler that sets spec.serving.replicas by the Model's scale subresource, at any moment.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

const char* const kAutoscaling = R"({"minReplicas": 2, "maxReplicas": 6, "metrics":
    [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]})";

Fixture autoscaled(Sim& s, const char* steps = R"([{"weight": 50}, {"gates": ["accuracy"]}])") {
  return usual(s, [&](Json& spec) {
    spec["serving"] = {{"autoscaling", Json::parse(kAutoscaling)}};
    spec["rollout"]["steps"] = Json::parse(steps);
  });
}

// What a HorizontalPodAutoscaler does.
void scale(Fixture f, int replicas) {
  f.s.world.update(
      ref(Kind::Model, "m"), [&](Json& o) { o["spec"]["serving"]["replicas"] = replicas; }, "kube-controller-manager");
}

const ObjectRef kAutoscaler = ref(Kind::HorizontalPodAutoscaler, "m");

TEST_CASE("an autoscaler is kept for as long as the spec wants one") {
  explore([](Sim& s) {
    Fixture f = autoscaled(s);
    s.then("finds it, and asks for more", [f, &s] { return f.serves("m-v1")() && s.world.find(kAutoscaler); }, [f, &s]() mutable {
      must(f.ready_pods("m-v1") == 2, "it starts with minReplicas");
      const Json& spec = s.world.get(kAutoscaler)["spec"];
      must(spec["scaleTargetRef"] == Json({{"apiVersion", "modelops.dev/v1alpha1"}, {"kind", "Model"}, {"name", "m"}}) &&
               spec["minReplicas"] == 2 && spec["maxReplicas"] == 6,
           spec.dump());
      f.edit_spec([](Json& model) { model["serving"]["autoscaling"]["maxReplicas"] = 8; });
    });
    s.then("wants none", [&s] { return s.world.get(kAutoscaler)["spec"]["maxReplicas"] == 8; },
           [f]() mutable { f.edit_spec([](Json& model) { model["serving"].erase("autoscaling"); }); });
    s.expect = [f, &s] {
      f.must_serve("m-v1");
      must(!s.world.find(kAutoscaler), "it is left over");
    };
  });
}

TEST_CASE("an autoscaler that goes up and down during a canary is followed, and is no new intent") {
  explore<int>({3, 6}, [](Sim& s, const int& then) {
    Fixture f = autoscaled(s);
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then("scales up", [f] { return f.weight(f.to("m-v2")) > 0; }, [f] { scale(f, 5); });
    s.then("scales again", [] { return true; }, [f, then] { scale(f, then); });
    s.expect = [f, then] {
      f.must_serve("m-v2");
      must(f.ready_pods("m-v2") == then, f.status().dump(1));
      must(f.count_rollouts("m-v2") == 1, "scaling made another rollout");
    };
  });
}

// A story: a bake longer than the progress deadline was given up at once when the autoscaler asked for another pod, or a node was drained.
TEST_CASE("scaling late in a bake is followed, and is no reason to go back") {
  explore<int>({3, 6}, [](Sim& s, const int& replicas) {
    Fixture f = autoscaled(s, R"([{"weight": 100}])");
    f.edit_spec([](Json& spec) {
      spec["rollout"]["gates"].push_back(prometheus_gate("errors", "0.5"));
      spec["rollout"]["bake"] = {{"duration", "5m"}, {"gates", {"errors"}}};
      spec["rollout"]["progressDeadlineSeconds"] = 60;
    });
    s.op.metrics["errors m-v2"] = "0.9";
    s.patience = std::chrono::minutes(20);
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then("scales late in the bake", [f, &s] {
      const Json* rollout = f.rollout(f.to("m-v2"));
      return rollout && f.phase(f.to("m-v2")) == "Baking" &&
             s.world.now >= *parse_time((*rollout)["status"]["startedAt"].get<std::string>()) + std::chrono::minutes(3);
    }, [f, replicas] { scale(f, replicas); });
    s.expect = [f, replicas] {
      f.must_serve("m-v2");
      must(f.ready_pods("m-v2") == replicas, f.status().dump(1));
    };
  });
}

TEST_CASE("scaling does not try a failed version again") {
  explore([](Sim& s) {
    Fixture f = autoscaled(s);
    s.op.metrics["accuracy m-v2"] = "0.1";
    s.invariants.must_not_pass.insert("accuracy/m-v2");
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then("scales", [f] { return f.phase(f.to("m-v2")) == "RolledBack"; }, [f] { scale(f, 5); });
    s.expect = [f] {
      f.must_be_degraded("RolledBack", "m-v1");
      must(f.ready_pods("m-v1") == 5 && f.count_rollouts("m-v2") == 1, f.status().dump(1));
    };
  });
}

TEST_CASE("scaled to nothing by people, an autoscaled Model has no pods") {
  explore([](Sim& s) {
    Fixture f = autoscaled(s);
    s.then("scales to 0", f.serves("m-v1"), [f] { scale(f, 0); });
    s.expect = [f] { must(f.ready_pods("m-v1") == 0 && f.reason("Available") == "ScaledToZero", f.status().dump(1)); };
  });
}

TEST_CASE("why an autoscaler cannot scale is said, and its Model is ready all the same") {
  explore([](Sim& s) {
    Fixture f = autoscaled(s);
    s.then("cannot", [&s, f] { return s.world.find(kAutoscaler) && f.serves("m-v1")(); }, [&s] {
      s.world.update(
          kAutoscaler,
          [](Json& o) {
            o["status"]["conditions"] = Json::parse(R"([{"type": "AbleToScale", "status": "True", "reason": "SucceededGetScale", "message": ""},
                {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": "no metrics returned"}])");
          },
          "kube-controller-manager");
    });
    s.expect = [f] {
      f.must_serve("m-v1");
      must(f.status()["message"] == "m-v1 serves; the HorizontalPodAutoscaler cannot scale it: FailedGetResourceMetric: no metrics returned",
           f.status()["message"]);
    };
  });
}

TEST_CASE("weights must be kept with the fewest replicas that an autoscaler may choose") {
  explore([](Sim& s) {
    Fixture f = autoscaled(s, R"([{"weight": 2}])");
    scale(f, 6);
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.expect = [f] {
      must(f.reason("Stalled") == "WeightTooSmall", f.status().dump(1));
      must(f.status()["message"].get<std::string>().find("with 2 replicas") != std::string::npos, f.status()["message"]);
    };
  });
}

}  // namespace
}  // namespace mo::sim
