// Rollouts where there is no room for more pods (spec.serving.maxSurge): never more than that, and never more missing than has to be.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

struct Case {
  int replicas, surge;
  const char* steps;
};

Fixture asking_for_v2(Sim& s, const Case& c) {
  Fixture f = usual(s, [&](Json& spec) {
    spec["serving"] = {{"replicas", c.replicas}, {"maxSurge", c.surge}};
    spec["rollout"]["steps"] = Json::parse(c.steps);
  });
  s.invariants.most_pods = c.replicas + c.surge;
  s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
  return f;
}

const Case kShared = {3, 0, R"([{"weight": 34}, {"pause": {"duration": "1m"}}, {"weight": 70}, {"gates": ["accuracy"]}])"};
const Case kCases[] = {kShared,
                       {3, 1, R"([{"weight": 34}, {"pause": {"duration": "1m"}}, {"weight": 70}])"},
                       {4, 2, R"([{"pause": {"duration": "1m"}}, {"weight": 25}, {"weight": 50}])"},
                       {2, 0, R"([{"gates": ["accuracy"]}, {"weight": 50}, {"weight": 100}, {"gates": ["accuracy"]}])"},
                       {3, 0, R"([{"weight": 100}])"}};

TEST_CASE("without surge a rollout goes through") {
  explore<Case>({std::begin(kCases), std::end(kCases)}, [](Sim& s, const Case& c) {
    Fixture f = asking_for_v2(s, c);
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("without surge one pod is replaced by one, and nobody is served in between") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s, {1, 0, R"([{"weight": 100}])"});
    s.invariants.disturbed = true;
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("without surge a gate that fails, a bake that fails and an abort bring everything back") {
  explore<int>({0, 1, 2}, [](Sim& s, const int& how) {
    Fixture f = asking_for_v2(s, kShared);
    if (how == 0) s.op.metrics["accuracy m-v2"] = "0.1";
    if (how == 1) {
      f.edit_spec([](Json& spec) {
        spec["rollout"]["gates"].push_back(prometheus_gate("errors", "0.5"));
        spec["rollout"]["bake"] = {{"duration", "2m"}, {"gates", {"errors"}}};
      });
      s.op.metrics["errors m-v2"] = "0.1";
    }
    if (how == 2)
      s.then("aborts", [f] { return f.weight(f.to("m-v2")) > 0; }, [f]() mutable {
        if (f.phase(f.to("m-v2")) != "Succeeded") f.desire(f.to("m-v2"), "Aborted");
      });
    s.expect = [f, how] {
      if (how == 2 && f.phase(f.to("m-v2")) == "Succeeded") return;
      must(f.stable() == "m-v1" && f.ready_pods("m-v1") == 3 && f.ready_pods("m-v2") == 0, f.status().dump(1));
      f.must_be(f.to("m-v2"), how == 2 ? "Aborted" : "RolledBack");
    };
  });
}

TEST_CASE("without surge a candidate that never gets ready gives way") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s, kShared);
    s.controllers.pod_fate = [](const Json& pod) {
      return pod["metadata"]["labels"][api::kLabelVersion] == "m-v2" ? PodFate::Never : PodFate::Ready;
    };
    s.expect = [f] {
      f.must_be_degraded("RolledBack", "m-v1");
      must(f.ready_pods("m-v1") == 3, "m-v1 is not back");
    };
  });
}

TEST_CASE("before its first weight a candidate gets one pod of stable's room") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s, {3, 0, R"([{"pause": {}}, {"weight": 70}])"});
    s.expect = [f] {
      f.must_be(f.to("m-v2"), "Paused");
      must(f.ready_pods("m-v1") == 2 && f.ready_pods("m-v2") == 1, f.status().dump(1));
      must(f.status()["trafficSummary"] == "m-v1 100%" && f.condition("Available") == "True", f.status().dump(1));
    };
  });
}

TEST_CASE("scaled in the middle, both versions follow within their room") {
  explore<int>({2, 6}, [](Sim& s, const int& replicas) {
    Fixture f = asking_for_v2(s, {4, 0, R"([{"weight": 50}, {"pause": {}}])"});
    s.invariants.most_pods = std::max(4, replicas);
    s.then("scales", [f] { return f.phase(f.to("m-v2")) == "Paused"; }, [f, replicas]() mutable {
      f.edit_spec([&](Json& spec) { spec["serving"]["replicas"] = replicas; });
    });
    s.expect = [f, replicas] {
      f.must_be(f.to("m-v2"), "Paused");
      must(f.ready_pods("m-v1") == replicas / 2 && f.ready_pods("m-v2") == replicas / 2, f.status().dump(1));
    };
  });
}

// A story: an autoscaler goes down to 1 while a rollout waits before its first weight. The candidate kept the pod that it had been lent, and
// nobody was served.
TEST_CASE("scaled down before its first weight a candidate gives stable its room back") {
  explore<Case>({{3, 0, ""}, {4, 1, ""}, {8, 3, ""}}, [](Sim& s, const Case& c) {
    Fixture f = asking_for_v2(s, {c.replicas, c.surge, R"([{"pause": {}}, {"weight": 50}])"});
    s.then("scales down", [f] { return f.phase(f.to("m-v2")) == "Paused"; }, [f]() mutable {
      f.edit_spec([](Json& spec) { spec["serving"]["replicas"] = 1; });
    });
    s.expect = [f, c] {
      f.must_be(f.to("m-v2"), "Paused");
      must(f.ready_pods("m-v1") == 1 && f.ready_pods("m-v2") == c.surge, f.status().dump(1));
    };
  });
}

Json other_template() {
  return Json::parse(R"({"spec": {"containers": [{"name": "server", "image": "other"}]}})");
}

// Each Deployment would have surged by itself, on top of what they have together.
TEST_CASE("another template in the middle of a rollout stays within its room") {
  explore<Case>({{3, 2, ""}, {3, 0, ""}}, [](Sim& s, const Case& c) {
    Fixture f = asking_for_v2(s, {c.replicas, c.surge, R"([{"pause": {}}, {"weight": 50}])"});
    s.then("changes the template", [f] { return f.phase(f.to("m-v2")) == "Paused"; }, [f]() mutable {
      f.edit_spec([](Json& spec) { spec["serving"]["template"] = other_template(); });
    });
    s.expect = [f] { f.must_be(f.to("m-v2"), "Paused"); };
  });
}

TEST_CASE("another template just before another version stays within their room") {
  explore<int>({0, 1, 2}, [](Sim& s, const int& surge) {
    Fixture f = usual(s, [&](Json& spec) {
      spec["serving"] = {{"replicas", 3}, {"maxSurge", surge}};
      spec["rollout"]["steps"] = Json::parse(R"([{"pause": {"duration": "1m"}}, {"weight": 50}])");
    });
    s.invariants.most_pods = 3 + surge;
    s.then("changes the template", f.serves("m-v1"), [f]() mutable {
      f.edit_spec([](Json& spec) { spec["serving"]["template"] = other_template(); });
    });
    s.then("asks for m-v2", [] { return true; }, [f]() mutable { f.ask_for("m-v2"); });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("without surge another template comes pod by pod") {
  explore([](Sim& s) {
    Fixture f = usual(s, [](Json& spec) {
      spec["serving"] = {{"replicas", 3}, {"maxSurge", 0}};
      spec["rollout"]["steps"] = Json::parse(R"([{"weight": 34}])");
    });
    s.invariants.most_pods = 3;
    s.then("changes the template", f.serves("m-v1"), [f]() mutable {
      f.edit_spec([](Json& spec) {
        spec["serving"]["template"] = Json::parse(R"({"spec": {"containers": [{"name": "server", "image": "other"}]}})");
      });
    });
    s.expect = [f] { f.must_serve("m-v1"); };
  });
}

TEST_CASE("a weight that would be no pod is refused, with what would do") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s, {3, 0, R"([{"weight": 10}])"});
    s.expect = [f] {
      must(f.reason("Stalled") == "WeightTooSmall", f.status().dump(1));
      const std::string message = f.status()["message"];
      must(message.find("maxSurge 0") != std::string::npos && message.find("at least 34") != std::string::npos, message);
    };
  });
}

}  // namespace
}  // namespace mo::sim
