// First versions, and canaries that run by themselves to one end or the other.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

// Then the spec asks for m-v2.
Fixture asking_for_v2(Sim& s, const std::function<void(Json& spec)>& edit = {}) {
  Fixture f = usual(s, edit);
  s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
  return f;
}

void never_passes(Sim& s, const std::string& gate, const std::string& version) {
  s.invariants.must_not_pass.insert(gate + "/" + version);
}

std::string message(const Fixture& f) { return f.status()["message"]; }

bool says(const Fixture& f, const std::string& words) { return message(f).find(words) != std::string::npos; }

void recorded_gate(Json& spec) {
  spec["rollout"]["gates"].push_back({{"name", "recorded"}, {"version", {{"metric", "f1"}}}, {"min", "0.9"}});
  spec["rollout"]["steps"].insert(spec["rollout"]["steps"].begin(), Json{{"gates", {"recorded"}}});
}

TEST_CASE("a first version serves without a rollout") {
  explore([](Sim& s) {
    const Fixture f = usual(s);
    s.expect = [f] {
      f.must_serve("m-v1");
      must(f.count_rollouts("m-v1") == 0, "a rollout was made");
    };
  });
}

TEST_CASE("a first version passes its recorded gate") {
  explore([](Sim& s) {
    Fixture f(s);
    recorded_gate(f.model_spec);
    f.make_runtime();
    f.make_version("m-v1", {{"f1", "0.95"}});
    f.make_model();
    s.expect = [f] {
      f.must_serve("m-v1");
      f.must_be(f.to("m-v1"), "Succeeded");
    };
  });
}

TEST_CASE("a first version that fails its recorded gate never gets a pod") {
  explore([](Sim& s) {
    Fixture f(s);
    recorded_gate(f.model_spec);
    f.make_runtime();
    f.make_version("m-v1", {{"f1", "0.5"}});
    f.make_model();
    s.invariants.must_not_pass = {"recorded/m-v1"};
    s.expect = [f, &s] {
      f.must_be(f.to("m-v1"), "Failed");
      must(f.condition("Stalled") == "True" && f.condition("Available") == "False", f.status().dump(1));
      must(s.world.all(Kind::Deployment).empty(), "a Deployment was made");
    };
  });
}

TEST_CASE("a good canary succeeds") {
  explore([](Sim& s) {
    const Fixture f = asking_for_v2(s);
    s.expect = [f] {
      f.must_serve("m-v2");
      f.must_be(f.to("m-v2"), "Succeeded");
      must(f.version_phase("m-v1") == "Superseded", "m-v1 is " + f.version_phase("m-v1"));
      must(f.count_rollouts("m-v2") == 1, "more than one rollout");
    };
  });
}

TEST_CASE("gates before the first weight are decided on pods without traffic") {
  explore([](Sim& s) {
    const Fixture f = asking_for_v2(s, [](Json& spec) {
      spec["rollout"]["steps"] = Json::parse(R"([{"gates": ["accuracy"]}, {"weight": 50}])");
    });
    s.op.metrics["accuracy m-v2"] = "0.1";
    never_passes(s, "accuracy", "m-v2");
    s.expect = [f] { f.must_be_degraded("RolledBack", "m-v1"); };
  });
}

TEST_CASE("a failed gate rolls back and says which and with what value") {
  explore([](Sim& s) {
    const Fixture f = asking_for_v2(s);
    s.op.metrics["accuracy m-v2"] = "0.85";
    never_passes(s, "accuracy", "m-v2");
    s.expect = [f] {
      f.must_be_degraded("RolledBack", "m-v1");
      f.must_be(f.to("m-v2"), "RolledBack");
      must(says(f, "accuracy") && says(f, "0.85 is below min 0.9"), message(f));
      must(f.version_phase("m-v2") == "Rejected", "m-v2 is " + f.version_phase("m-v2"));
      must(f.count_rollouts("m-v2") == 1, "more than one rollout");
    };
  });
}

TEST_CASE("the second gate fails with half of the traffic on the candidate") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s, [](Json& spec) { spec["serving"]["replicas"] = 4; });
    s.then(
        "sees accuracy fall at 50 %", [f] { return f.weight(f.to("m-v2")) == 50; },
        [&s] { s.op.metrics["accuracy m-v2"] = "0.2"; });
    s.expect = [f] {
      const std::string end = f.phase(f.to("m-v2"));
      must(end == "RolledBack" || end == "Succeeded", end);  // the gate may just have been asked
      if (end == "RolledBack") f.must_be_degraded("RolledBack", "m-v1");
    };
  });
}

TEST_CASE("worse than stable rolls back") {
  explore([](Sim& s) {
    const Fixture f = asking_for_v2(s, [](Json& spec) {
      spec["rollout"]["gates"][0]["versusStable"] = {{"query", "accuracy {{stable}}"},
                                                     {"maxRegression", "0.01"}};
    });
    s.op.metrics["accuracy m-v1"] = "0.97";
    never_passes(s, "accuracy", "m-v2");
    s.expect = [f] {
      f.must_be_degraded("RolledBack", "m-v1");
      must(says(f, "0.95 is worse than m-v1's 0.97"), message(f));
    };
  });
}

// ---- no data ----

TEST_CASE("no data pauses and a person goes on once there is some") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s);
    s.op.metrics.erase("accuracy m-v2");
    s.then(
        "brings data and says to run", [f] { return f.phase(f.to("m-v2")) == "Paused"; },
        [f, &s]() mutable {
          must(f.status()["phase"] == "Paused" && f.reason() == "RolloutPaused", f.status().dump(1));
          s.op.metrics["accuracy m-v2"] = "0.95";
          f.resume(f.to("m-v2"));
        });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("no data pauses for as long as nobody acts") {
  explore([](Sim& s) {
    const Fixture f = asking_for_v2(s);
    s.op.metrics.erase("accuracy m-v2");
    never_passes(s, "accuracy", "m-v2");
    s.expect = [f] {
      f.must_be(f.to("m-v2"), "Paused");
      must(f.weight(f.to("m-v2")) == 10, "the weight moved");
      must(f.status()["phase"] == "Paused" && f.condition("Available") == "True" &&
               f.condition("Reconciling") == "True",
           f.status().dump(1));
    };
  });
}

TEST_CASE("no data waits for data where the gate says Wait") {
  explore([](Sim& s) {
    const Fixture f =
        asking_for_v2(s, [](Json& spec) { spec["rollout"]["gates"][0]["onInconclusive"] = "Wait"; });
    s.op.metrics.erase("accuracy m-v2");
    s.then(
        "brings data much later",
        [f, &s] { return f.step(f.to("m-v2")) == 3 && s.world.now >= *parse_time("2026-11-22T09:05:00Z"); },
        [&s] { s.op.metrics["accuracy m-v2"] = "0.95"; });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("no data fails where the gate says Fail") {
  explore([](Sim& s) {
    const Fixture f =
        asking_for_v2(s, [](Json& spec) { spec["rollout"]["gates"][0]["onInconclusive"] = "Fail"; });
    s.op.metrics.erase("accuracy m-v2");
    never_passes(s, "accuracy", "m-v2");
    s.expect = [f] {
      f.must_be_degraded("RolledBack", "m-v1");
      must(says(f, "no data"), message(f));
    };
  });
}

// ---- candidates that do not come up ----

TEST_CASE("an unready candidate is rolled back at its deadline") {
  explore([](Sim& s) {
    const Fixture f = asking_for_v2(s);
    s.controllers.pod_fate = [](const Json& pod) {
      return pod["metadata"]["labels"][api::kLabelVersion] == "m-v2" ? PodFate::Never : PodFate::Ready;
    };
    s.expect = [f] {
      f.must_be_degraded("RolledBack", "m-v1");
      must(says(f, "not ready within 5m") && says(f, "no such image"), message(f));
    };
  });
}

TEST_CASE("a digest that does not match never serves and is not waited for") {
  explore([](Sim& s) {
    const Fixture f = asking_for_v2(s);
    s.controllers.pod_fate = [](const Json& pod) {
      return pod["metadata"]["labels"][api::kLabelVersion] == "m-v2" ? PodFate::DigestMismatch
                                                                     : PodFate::Ready;
    };
    s.expect = [f] {
      f.must_be_degraded("RolledBack", "m-v1");
      must(says(f, "digest mismatch"), message(f));
    };
  });
}

TEST_CASE("a first version whose digest does not match says so and serves once the artifact is mended") {
  explore([](Sim& s) {
    Fixture f(s);
    f.model_spec.erase("version");
    f.model_spec["artifact"] = {{"uri", "configmap://a/wrong"},
                                {"digest", digest("x")},
                                {"format", {{"name", "rules"}, {"version", "1"}}}};
    f.make_runtime();
    f.make_model();
    s.controllers.pod_fate = [](const Json& pod) {
      return pod["spec"]["initContainers"][0]["args"].dump().find("a/wrong") != std::string::npos
                 ? PodFate::DigestMismatch
                 : PodFate::Ready;
    };
    s.then(
        "mends the artifact's URI", [f] { return f.reason() == "DigestMismatch"; },
        [f]() mutable { f.edit_spec([](Json& spec) { spec["artifact"]["uri"] = "configmap://a/right"; }); });
    s.expect = [f] { f.must_serve("m-" + digest("x").substr(7, 10)); };
  });
}

TEST_CASE("an inline artifact is registered and rolled out like a version") {
  explore([](Sim& s) {
    Fixture f(s);
    f.model_spec.erase("version");
    f.model_spec["artifact"] = {{"uri", "configmap://a/1"},
                                {"digest", digest("x")},
                                {"format", {{"name", "rules"}, {"version", "1"}}}};
    f.make_runtime();
    f.make_model();
    const std::string first = "m-" + digest("x").substr(7, 10), second = "m-" + digest("y").substr(7, 10);
    s.op.metrics["accuracy " + second] = "0.95";
    s.then("changes the artifact", f.serves(first),
           [f]() mutable { f.edit_spec([](Json& spec) { spec["artifact"]["digest"] = digest("y"); }); });
    s.expect = [f, second] {
      f.must_serve(second);
      f.must_be(f.to(second), "Succeeded");
    };
  });
}

// Its Service was made while there was no runtime, so it selected whatever pods the version would get: seen by chance, in a third order.
TEST_CASE("a missing runtime stalls and is used once it is there") {
  explore([](Sim& s) {
    Fixture f(s);
    f.make_version("m-v1");
    f.make_model();
    s.then(
        "makes the runtime",
        [f] { return f.reason() == "RuntimeNotFound" && f.condition("Stalled") == "True"; },
        [f]() mutable { f.make_runtime(); });
    s.expect = [f] { f.must_serve("m-v1"); };
  });
}

// The Model's status went on naming a rollout that never was.
TEST_CASE("a version that is missing and not asked for any more leaves no rollout behind in status") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    auto before = std::make_shared<Json>();
    s.then("asks for what is missing", f.is_ready(), [f, before]() mutable {
      *before = f.status().value("rollout", Json());
      f.ask_for("m-v9");
    });
    s.then(
        "asks for what serves", [f] { return f.reason() == "VersionNotFound"; },
        [f, before]() mutable {
          must(f.status().value("rollout", Json()) == *before, "a rollout that is not there");
          f.ask_for("m-v1");
        });
    s.expect = [f, before] {
      f.must_serve("m-v1");
      must(f.status().value("rollout", Json()) == *before, "a rollout that never was");
    };
  });
}

TEST_CASE("a missing version stalls and is used once it is there") {
  explore([](Sim& s) {
    Fixture f(s);
    f.make_runtime();
    f.make_model();
    s.then(
        "registers the version",
        [f] { return f.reason() == "VersionNotFound" && f.condition("Stalled") == "True"; },
        [f]() mutable { f.make_version("m-v1"); });
    s.expect = [f] { f.must_serve("m-v1"); };
  });
}

TEST_CASE("a version of another Model is refused") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    f.make_version("other-v1", Json::object(), "other");
    s.then("asks for other-v1", f.serves("m-v1"), [f]() mutable { f.ask_for("other-v1"); });
    s.expect = [f] { f.must_be_degraded("VersionOfAnotherModel", "m-v1"); };
  });
}

TEST_CASE("going straight to all traffic without steps") {
  explore([](Sim& s) {
    const Fixture f = asking_for_v2(s, [](Json& spec) { spec["rollout"].erase("steps"); });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("a Model of no replicas rolls out too") {
  explore([](Sim& s) {
    const Fixture f = asking_for_v2(s, [](Json& spec) {
      spec["serving"]["replicas"] = 0;
      spec["rollout"].erase("steps");
    });
    s.expect = [f] { must(f.ready() && f.stable() == "m-v2", f.status().dump(1)); };
  });
}

}  // namespace
}  // namespace mo::sim
