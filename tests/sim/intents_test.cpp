// Whose word counts: specs, ModelRollouts that people write, retries, and what is left after failures.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

std::function<bool()> over(const Fixture& f, const std::string& rollout) {
  return [f, rollout] {
    const std::string phase = f.phase(rollout);
    return !phase.empty() && phase != "Pending" && phase != "Progressing" && phase != "Paused";
  };
}

TEST_CASE("a person's ModelRollout overrides the spec until the spec agrees") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    s.then("writes a rollout to m-v2", f.serves("m-v1"), [f]() mutable { f.make_rollout("mine", "m-v2"); });
    s.then(
        "makes the spec agree", [f] { return f.reason() == "Overridden"; },
        [f]() mutable {
          must(f.stable() == "m-v2" && f.condition("Ready") == "False", f.status().dump(1));
          f.ask_for("m-v2");
        });
    s.expect = [f] {
      f.must_serve("m-v2");
      f.must_be("mine", "Succeeded");
      must(f.count_rollouts("m-v2") == 1, "another rollout was made");
    };
  });
}

TEST_CASE("overridden is where it rests") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    s.then("writes a rollout to m-v2", f.serves("m-v1"), [f]() mutable { f.make_rollout("mine", "m-v2"); });
    s.expect = [f] { f.must_be_degraded("Overridden", "m-v2"); };
  });
}

TEST_CASE("a track of promoted versions is not overridden") {
  explore([](Sim& s) {
    Fixture f = usual(s, [](Json& spec) { spec["track"] = "Promoted"; });
    s.then("writes a rollout to m-v2", f.serves("m-v1"), [f]() mutable { f.make_rollout("mine", "m-v2"); });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("a second rollout waits and says for whom and then runs") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    auto waited = std::make_shared<bool>(false);
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then(
        "writes a rollout to m-v3", [f] { return f.phase(f.to("m-v2")) == "Progressing"; },
        [f]() mutable { f.make_rollout("mine", "m-v3"); });
    s.then(
        "looks at it", [f] { return !f.phase("mine").empty() && f.phase("mine") != "Succeeded"; },
        [f, waited] {
          const Json status = (*f.rollout("mine"))["status"];
          *waited = status["phase"] == "Pending" &&
                    status.value("message", "").find(f.to("m-v2")) != std::string::npos;
        });
    s.expect = [f] {
      f.must_be(f.to("m-v2"), "Succeeded");
      f.must_be("mine", "Succeeded");
      f.must_be_degraded("Overridden", "m-v3");
    };
  });
}

TEST_CASE("of two that wait the newer runs") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    f.make_version("m-v4");
    s.op.metrics["accuracy m-v4"] = "0.99";
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then(
        "writes two", [f] { return f.step(f.to("m-v2")) == 2; },
        [f, &s]() mutable {
          f.make_rollout("older", "m-v3");
          s.world.now += std::chrono::seconds(1);
          f.make_rollout("younger", "m-v4");
        });
    s.expect = [f] {
      f.must_be("younger", "Succeeded");
      f.must_be("older", "Superseded");
    };
  });
}

// Found by the explorer: the new one was taken for the one that had succeeded, and ended as Superseded.
TEST_CASE("a ModelRollout under the name of one that succeeded and was deleted is a new one") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    s.then("writes a rollout to m-v2", f.serves("m-v1"), [f]() mutable { f.make_rollout("mine", "m-v2"); });
    s.then(
        "deletes it and writes one to m-v3", [f] { return f.phase("mine") == "Succeeded"; },
        [f, &s]() mutable {
          s.world.remove(ref(Kind::ModelRollout, "mine"));
          f.make_rollout("mine", "m-v3");
        });
    s.expect = [f] {
      f.must_be("mine", "Succeeded");
      f.must_be_degraded("Overridden", "m-v3");
    };
  });
}

TEST_CASE("a ModelRollout replaced under way by one to another version") {
  explore<int>({0, 2, 4}, [](Sim& s, int step) {
    Fixture f = usual(s);
    s.then("writes a rollout to m-v2", f.serves("m-v1"), [f]() mutable { f.make_rollout("mine", "m-v2"); });
    s.then(
        "replaces it", [f, step] { return f.step("mine") >= step && f.rollout("mine")->contains("status"); },
        [f, &s]() mutable {
          s.invariants.rollout_deleted = true;
          s.world.remove(ref(Kind::ModelRollout, "mine"));
          f.make_rollout("mine", "m-v3");
        });
    s.expect = [f] {
      f.must_be("mine", "Succeeded");
      f.must_be_degraded("Overridden", "m-v3");
    };
  });
}

TEST_CASE("a rollout to what serves has nothing to do") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    s.then("writes a rollout to m-v1", f.serves("m-v1"), [f]() mutable { f.make_rollout("mine", "m-v1"); });
    s.expect = [f] {
      f.must_be("mine", "Failed");
      f.must_serve("m-v1");
      must((*f.rollout("mine"))["status"].dump().find("AlreadyServing") != std::string::npos, "reason");
    };
  });
}

TEST_CASE("a rollout back to what serves ends the one under way") {
  explore([](Sim& s) {
    Fixture f = usual(s, [](Json& spec) { spec["serving"]["replicas"] = 4; });
    s.op.metrics["accuracy m-v1"] = "0.95";
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then(
        "writes a rollout back", [f] { return f.step(f.to("m-v2")) >= 4; },
        [f]() mutable { f.make_rollout("back", "m-v1"); });
    s.expect = [f] {
      f.must_be("back", "Succeeded");
      f.must_be_degraded("Overridden", "m-v1");
    };
  });
}

TEST_CASE("a rollout to a version that is missing waits for it") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    s.op.metrics["accuracy m-v9"] = "0.95";
    s.then("writes it", f.serves("m-v1"), [f]() mutable { f.make_rollout("mine", "m-v9"); });
    s.then(
        "registers the version",
        [f] {
          return f.phase("mine") == "Pending" &&
                 (*f.rollout("mine"))["status"].dump().find("VersionNotFound") != std::string::npos;
        },
        [f]() mutable {
          must(f.ready(), "the Model is none the worse");
          f.make_version("m-v9");
        });
    s.expect = [f] { f.must_be_degraded("Overridden", "m-v9"); };
  });
}

TEST_CASE("a rollout to a version of another Model stays Pending") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    f.make_version("other-v1", Json::object(), "other");
    s.then("writes it", f.serves("m-v1"), [f]() mutable { f.make_rollout("mine", "other-v1"); });
    s.expect = [f] {
      f.must_be("mine", "Pending");
      f.must_serve("m-v1");
    };
  });
}

TEST_CASE("aborted before it starts") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    s.op.metrics["accuracy m-v2"] = "0.1";
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then(
        "writes a rollout that is aborted at once",
        [f] { return f.phase(f.to("m-v2")) == "RolledBack" && f.reason() == "RolledBack"; },
        [f, &s]() mutable {
          s.world.create(
              {{"kind", "ModelRollout"},
               {"metadata", {{"name", "mine"}}},
               {"spec", {{"modelRef", {{"name", "m"}}}, {"version", "m-v3"}, {"desiredState", "Aborted"}}}},
              "kubectl");
        });
    s.expect = [f] {
      f.must_be("mine", "Aborted");
      f.must_be_degraded("RolledBack", "m-v1");  // what is wrong is still what failed
    };
  });
}

// ---- after a failure ----

Fixture rolled_back(Sim& s) {
  Fixture f = usual(s);
  s.op.metrics["accuracy m-v2"] = "0.5";
  s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
  return f;
}
std::function<bool()> is_rolled_back(const Fixture& f) {
  return [f] { return f.reason() == "RolledBack"; };
}

TEST_CASE("a failed version is retried by a new ModelRollout") {
  explore([](Sim& s) {
    Fixture f = rolled_back(s);
    s.then("retries", is_rolled_back(f), [f, &s]() mutable {
      s.op.metrics["accuracy m-v2"] = "0.95";
      f.make_rollout("retry", "m-v2");
    });
    s.expect = [f] {
      f.must_be("retry", "Succeeded");
      f.must_serve("m-v2");
    };
  });
}

TEST_CASE("a failed version is tried again once the template changes") {
  explore([](Sim& s) {
    Fixture f = rolled_back(s);
    s.then("mends the template", is_rolled_back(f), [f, &s]() mutable {
      s.op.metrics["accuracy m-v2"] = "0.95";
      f.edit_spec([](Json& spec) {
        spec["serving"]["template"] = {{"spec", {{"priorityClassName", "high"}}}};
      });
    });
    s.expect = [f] {
      f.must_serve("m-v2");
      must(f.count_rollouts("m-v2") == 2, "one more rollout");
    };
  });
}

TEST_CASE("a failed version is not tried again when only the replicas change") {
  explore([](Sim& s) {
    Fixture f = rolled_back(s);
    s.then("scales", is_rolled_back(f),
           [f]() mutable { f.edit_spec([](Json& spec) { spec["serving"]["replicas"] = 3; }); });
    s.expect = [f] {
      f.must_be_degraded("RolledBack", "m-v1");
      must(f.count_rollouts("m-v2") == 1, "tried again");
      must(f.ready_pods("m-v1") == 3, "scaled");
    };
  });
}

TEST_CASE("a failed version is not tried again by edits of how to get there") {
  explore([](Sim& s) {
    Fixture f = rolled_back(s);
    s.then("edits steps, gates and the deadline", is_rolled_back(f), [f, &s]() mutable {
      s.op.metrics["accuracy m-v2"] = "0.95";
      f.edit_spec([](Json& spec) {
        spec["rollout"]["steps"] = Json::parse(R"([{"weight": 25}])");
        spec["rollout"]["gates"][0]["min"] = "0.1";
        spec["rollout"]["progressDeadlineSeconds"] = 77;
        spec["rollout"]["bake"] = {{"duration", "1m"}};
      });
    });
    s.expect = [f] {
      f.must_be_degraded("RolledBack", "m-v1");
      must(f.count_rollouts("m-v2") == 1, "tried again");
      const std::string message = f.status()["message"];
      must(message.find("spec.rollout has changed since; run kubectl model retry m to use it") != std::string::npos, message);
    };
  });
}

TEST_CASE("after a failure another version is asked for") {
  explore([](Sim& s) {
    Fixture f = rolled_back(s);
    s.then("asks for m-v3", is_rolled_back(f), [f]() mutable { f.ask_for("m-v3"); });
    s.expect = [f] { f.must_serve("m-v3"); };
  });
}

TEST_CASE("after a failure the spec goes back to what serves") {
  explore([](Sim& s) {
    Fixture f = rolled_back(s);
    s.then("asks for m-v1", is_rolled_back(f), [f]() mutable { f.ask_for("m-v1"); });
    s.expect = [f] { f.must_serve("m-v1"); };
  });
}

TEST_CASE("the failed rollout of a person is put aside by deleting it") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    s.op.metrics["accuracy m-v2"] = "0.5";
    s.then("writes a rollout", f.serves("m-v1"), [f]() mutable { f.make_rollout("mine", "m-v2"); });
    s.then(
        "deletes it", [f] { return f.reason() == "RolledBack" && f.phase("mine") == "RolledBack"; },
        [&s] { s.world.remove(ref(Kind::ModelRollout, "mine")); });
    s.expect = [f] { f.must_serve("m-v1"); };
  });
}

// The soak found a Model that named its version and said that it waits for a first one from retraining.
TEST_CASE("where nothing serves it is the spec's turn again once a person's failed rollout is put aside") {
  explore<bool>({false, true}, [](Sim& s, const bool& was_missing) {
    Fixture f(s);
    f.model_spec["rollout"]["gates"] = {{{"name", "recorded"}, {"version", {{"metric", "f1"}}}, {"min", "0.9"}}};
    f.model_spec["rollout"]["steps"] = Json::parse(R"([{"gates": ["recorded"]}, {"weight": 50}])");
    f.make_runtime();
    f.make_version("m-v2", {{"f1", "0.5"}});
    if (!was_missing) f.make_version("m-v1", {{"f1", "0.5"}});
    f.model_spec["version"] = "m-v1";
    f.make_model();
    s.then(
        "tries another", [f, was_missing] { return f.reason() == (was_missing ? "VersionNotFound" : "RolloutFailed"); },
        [f]() mutable { f.make_rollout("mine", "m-v2"); });
    s.then("scales, which mends nothing", [f] { return f.phase("mine") == "Failed"; },
           [f]() mutable { f.edit_spec([](Json& spec) { spec["serving"]["replicas"] = 3; }); });
    s.then(
        "puts it aside", [] { return true; },
        [f, &s, was_missing]() mutable {
          s.world.remove(ref(Kind::ModelRollout, "mine"));
          if (was_missing) f.make_version("m-v1", {{"f1", "0.95"}});
        });
    s.expect = [f, was_missing] {
      if (was_missing) return f.must_serve("m-v1");
      must(f.reason() == "RolloutFailed" && f.status()["message"].get<std::string>().find("m-v1 was stopped") != std::string::npos,
           f.status().dump(1));
      must(f.count_rollouts("m-v1") == 1, "it was tried again although the spec did not change");
    };
  });
}

// A template that was edited while all was well was mistaken for a mended spec when, later, a person's
// rollout failed: the spec's old version was then rolled out although nobody had asked for it again.
TEST_CASE("a person's failed rollout does not bring an overridden spec back") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    s.op.metrics["accuracy m-v3"] = "0.5";
    s.op.metrics["accuracy m-v1"] = "0.95";
    s.then("edits the template", f.serves("m-v1"), [f]() mutable {
      f.edit_spec([](Json& spec) {
        spec["serving"]["template"] = {{"spec", {{"priorityClassName", "high"}}}};
      });
    });
    s.then("overrides the spec", f.is_ready(), [f]() mutable { f.make_rollout("good", "m-v2"); });
    s.then(
        "tries a bad version", [f] { return f.reason() == "Overridden"; },
        [f]() mutable { f.make_rollout("bad", "m-v3"); });
    s.expect = [f] {
      f.must_be("bad", "RolledBack");
      must(f.stable() == "m-v2" && f.count_rollouts("m-v1") == 1, f.status().dump(1));
    };
  });
}

TEST_CASE("without any version in the spec a person's rollout brings the first") {
  explore([](Sim& s) {
    Fixture f = usual(s, [](Json& spec) { spec.erase("version"); });
    s.then(
        "writes a rollout", [f] { return f.reason() == "NoVersion"; },
        [f]() mutable { f.make_rollout("mine", "m-v1"); });
    s.expect = [f] {
      f.must_serve("m-v1");
      f.must_be("mine", "Succeeded");
    };
  });
}

TEST_CASE("a rollout whose Model does not exist waits for it") {
  explore([](Sim& s) {
    Fixture f(s);
    f.model_spec.erase("version");
    f.make_runtime();
    f.make_version("m-v1");
    f.make_rollout("mine", "m-v1");
    s.then(
        "makes the Model",
        [f] { return (*f.rollout("mine")).dump().find("ModelNotFound") != std::string::npos; },
        [f]() mutable { f.make_model(); });
    s.expect = [f] { f.must_serve("m-v1"); };
  });
}

TEST_CASE("people write to a rollout that is over") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then(
        "aborts it afterwards", [f] { return over(f, f.to("m-v2"))(); },
        [f]() mutable { f.desire(f.to("m-v2"), "Aborted"); });
    s.expect = [f] {
      f.must_serve("m-v2");
      f.must_be(f.to("m-v2"), "Succeeded");
    };
  });
}

// ---- a name stands for its bytes ----

void make_anew(Sim& s, const std::string& version) {
  s.world.remove(ref(Kind::ModelVersion, version));
  s.world.create({{"kind", "ModelVersion"},
                  {"metadata", {{"name", version}}},
                  {"spec",
                   {{"modelRef", {{"name", "m"}}},
                    {"artifact",
                     {{"uri", "configmap://artifacts/other"}, {"digest", digest("other")}, {"format", {{"name", "rules"}, {"version", "1"}}}}}}}},
                 "kubectl");
}

void no_pod_has_other_bytes(Sim& s) {
  for (const auto& pod : s.world.all(Kind::Pod))
    must(s.world.get(pod).dump().find(digest("other")) == std::string::npos, "a pod of other bytes: " + pod.key.name);
}

TEST_CASE("a version that has served does not come back with other bytes") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then("makes m-v1 anew and goes back", f.serves("m-v2"), [f, &s]() mutable {
      make_anew(s, "m-v1");
      f.make_rollout("back", "m-v1");
      f.desire("back", "Promoted");
    });
    s.expect = [f, &s] {
      must(f.stable() == "m-v2", f.stable());
      // It may have begun before the operator saw that the version is another.
      must(f.phase("back") == "Pending" || f.phase("back") == "RolledBack", "phase of back: " + f.phase("back"));
      must((*f.rollout("back"))["status"].dump().find("VersionConflict") != std::string::npos, (*f.rollout("back")).dump(1));
      no_pod_has_other_bytes(s);
    };
  });
}

TEST_CASE("what serves keeps its bytes whatever becomes of its record") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    s.then("makes m-v1 anew", f.serves("m-v1"), [&s] { make_anew(s, "m-v1"); });
    s.then("scales", [f] { return f.reason() == "VersionConflict"; },
           [f]() mutable { f.edit_spec([](Json& spec) { spec["serving"]["replicas"] = 3; }); });
    s.expect = [f, &s] {
      f.must_be_degraded("VersionConflict", "m-v1");
      must(f.ready_pods("m-v1") == 3, "scaled");
      no_pod_has_other_bytes(s);
    };
  });
}

TEST_CASE("a candidate that is made anew with other bytes in mid-rollout goes back") {
  explore<int>({1, 2, 4}, [](Sim& s, int step) {
    Fixture f = usual(s);
    s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
    s.then("makes m-v2 anew", [f, step] { return f.step(f.to("m-v2")) >= step; }, [&s] { make_anew(s, "m-v2"); });
    s.expect = [f, &s] {
      no_pod_has_other_bytes(s);
      if (f.stable() == "m-v2") return f.must_be_degraded("VersionConflict", "m-v2");  // it was through by then
      f.must_be(f.to("m-v2"), "RolledBack");
      f.must_be_degraded("RolledBack", "m-v1");
    };
  });
}

}  // namespace
}  // namespace mo::sim
