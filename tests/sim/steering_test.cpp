// People steer: pause, resume, promote, abort, at every step; and change their minds.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

Fixture asking_for_v2(Sim& s, const std::function<void(Json& spec)>& edit = {}) {
  Fixture f = usual(s, edit);
  s.then("asks for m-v2", f.serves("m-v1"), [f]() mutable { f.ask_for("m-v2"); });
  return f;
}

// The rollout to this version stands at step `step` (or further); 0: it exists.
std::function<bool()> at_step(const Fixture& f, const std::string& version, int step) {
  return [f, version, step] { return !f.to(version).empty() && f.step(f.to(version)) >= step; };
}

// What people can do comes too late if the rollout was faster.
bool beaten(const Fixture& f) { return f.phase(f.to("m-v2")) == "Succeeded"; }

TEST_CASE("aborted at each step") {
  explore<int>({0, 1, 2, 3, 4, 5, 6}, [](Sim& s, int step) {
    Fixture f = asking_for_v2(s, [](Json& spec) { spec["serving"]["replicas"] = 3; });
    s.then("aborts at step " + std::to_string(step), at_step(f, "m-v2", step),
           [f]() mutable { f.desire(f.to("m-v2"), "Aborted"); });
    s.expect = [f] {
      if (beaten(f)) return f.must_serve("m-v2");
      f.must_be(f.to("m-v2"), "Aborted");
      f.must_be_degraded("RolloutAborted", "m-v1");
      must(f.version_phase("m-v2") == "Registered", f.version_phase("m-v2"));
    };
  });
}

TEST_CASE("promoted at each step") {
  explore<int>({0, 1, 2, 3, 4, 5, 6}, [](Sim& s, int step) {
    Fixture f = asking_for_v2(s);
    s.op.metrics.erase("accuracy m-v2");
    s.then("promotes at step " + std::to_string(step), at_step(f, "m-v2", std::min(step, 3)),
           [f]() mutable { f.desire(f.to("m-v2"), "Promoted"); });
    s.expect = [f] {
      f.must_serve("m-v2");
      f.must_be(f.to("m-v2"), "Succeeded");
    };
  });
}

TEST_CASE("paused at each step then told to run") {
  explore<int>({0, 1, 2, 3, 4, 5, 6}, [](Sim& s, int step) {
    Fixture f = asking_for_v2(s);
    s.then("pauses at step " + std::to_string(step), at_step(f, "m-v2", step),
           [f]() mutable { f.desire(f.to("m-v2"), "Paused"); });
    s.then(
        "says to run",
        [f] { return beaten(f) || (f.phase(f.to("m-v2")) == "Paused" && f.status()["phase"] == "Paused"); },
        [f]() mutable { f.desire(f.to("m-v2"), "Running"); });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("paused then aborted") {
  explore<int>({1, 2, 3, 5}, [](Sim& s, int step) {
    Fixture f = asking_for_v2(s);
    s.then("pauses", at_step(f, "m-v2", step), [f]() mutable { f.desire(f.to("m-v2"), "Paused"); });
    s.then(
        "aborts", [f] { return f.phase(f.to("m-v2")) == "Paused" || beaten(f); },
        [f]() mutable { f.desire(f.to("m-v2"), "Aborted"); });
    s.expect = [f] {
      if (beaten(f)) return f.must_serve("m-v2");
      f.must_be(f.to("m-v2"), "Aborted");
      must(f.stable() == "m-v1", f.stable());
    };
  });
}

TEST_CASE("promoted then aborted before all of it is there") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s, [](Json& spec) { spec["serving"]["replicas"] = 5; });
    s.then("promotes", at_step(f, "m-v2", 2), [f]() mutable { f.desire(f.to("m-v2"), "Promoted"); });
    s.then("aborts", at_step(f, "m-v2", 6), [f]() mutable { f.desire(f.to("m-v2"), "Aborted"); });
    s.expect = [f] {
      if (beaten(f)) return f.must_serve("m-v2");
      f.must_be(f.to("m-v2"), "Aborted");
      must(f.stable() == "m-v1", f.stable());
    };
  });
}

TEST_CASE("an abort wins while stable's pods do not come back") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s, [](Json& spec) { spec["serving"]["replicas"] = 4; });
    auto broken = std::make_shared<bool>(false);
    s.controllers.pod_fate = [broken](const Json& pod) {
      return *broken && pod["metadata"]["labels"][api::kLabelVersion] == "m-v1" ? PodFate::Never
                                                                                : PodFate::Ready;
    };
    s.then("aborts while new pods of m-v1 fail", at_step(f, "m-v2", 5), [f, broken]() mutable {
      *broken = true;
      f.desire(f.to("m-v2"), "Aborted");
    });
    s.expect = [f] {
      if (beaten(f)) return;
      f.must_be(f.to("m-v2"), "Aborted");
      must(f.stable() == "m-v1", f.stable());
    };
  });
}

// ---- pauses that the steps hold ----

Json with_open_pause() { return Json::parse(R"([{"weight": 20}, {"pause": {}}, {"weight": 50}])"); }

TEST_CASE("an open pause waits for a person who asks to go on") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s, [](Json& spec) { spec["rollout"]["steps"] = with_open_pause(); });
    s.then(
        "asks to go on", [f] { return f.phase(f.to("m-v2")) == "Paused"; },
        [f]() mutable { f.resume(f.to("m-v2")); });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("an open pause goes on after Paused and Running") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s, [](Json& spec) { spec["rollout"]["steps"] = with_open_pause(); });
    s.then(
        "says to pause", [f] { return f.phase(f.to("m-v2")) == "Paused"; },
        [f]() mutable { f.desire(f.to("m-v2"), "Paused"); });
    s.then(
        "says to run", [f] { return (*f.rollout(f.to("m-v2")))["status"].value("observedState", "") == "Paused"; },
        [f]() mutable { f.desire(f.to("m-v2"), "Running"); });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

TEST_CASE("an open pause is not ended by Running where it is what was wanted") {
  explore<std::string>({"Running", ""}, [](Sim& s, const std::string& word) {
    Fixture f = asking_for_v2(s, [](Json& spec) { spec["rollout"]["steps"] = with_open_pause(); });
    s.then(
        "says to run", [f] { return f.phase(f.to("m-v2")) == "Paused"; },
        [f, word]() mutable { f.desire(f.to("m-v2"), "Running"); });
    if (word.empty())
      s.then(
          "takes the word away", [] { return true; },
          [f, &s]() mutable {
            s.world.update(
                ref(Kind::ModelRollout, f.to("m-v2")), [](Json& o) { o["spec"].erase("desiredState"); }, "kubectl");
          });
    s.expect = [f] { f.must_be(f.to("m-v2"), "Paused"); };
  });
}

TEST_CASE("an open pause waits for ever if nobody comes") {
  explore([](Sim& s) {
    const Fixture f = asking_for_v2(s, [](Json& spec) { spec["rollout"]["steps"] = with_open_pause(); });
    s.expect = [f] {
      f.must_be(f.to("m-v2"), "Paused");
      must(f.weight(f.to("m-v2")) == 20, "weight");
      must(f.status()["traffic"].dump().find("20") != std::string::npos, f.status()["traffic"].dump());
    };
  });
}

TEST_CASE("an open pause before the first weight") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(
        s, [](Json& spec) { spec["rollout"]["steps"] = Json::parse(R"([{"pause": {}}, {"weight": 50}])"); });
    s.then(
        "asks to go on", [f] { return f.phase(f.to("m-v2")) == "Paused"; },
        [f]() mutable { f.resume(f.to("m-v2")); });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

// ---- onFailure: Pause ----

TEST_CASE("a failure pauses where the policy says so and a person decides") {
  explore<std::string>({"Running", "Promoted", "Aborted"}, [](Sim& s, const std::string& word) {
    Fixture f = asking_for_v2(s, [](Json& spec) { spec["rollout"]["onFailure"] = "Pause"; });
    s.op.metrics["accuracy m-v2"] = "0.5";
    s.then(
        "says " + word, [f] { return f.phase(f.to("m-v2")) == "Paused"; },
        [f, word, &s]() mutable {
          must(f.weight(f.to("m-v2")) == 10, "the weight moved");
          s.op.metrics["accuracy m-v2"] = "0.95";
          if (word == "Running") return f.resume(f.to("m-v2"));
          f.desire(f.to("m-v2"), word);
        });
    s.expect = [f, word] {
      f.must_be(f.to("m-v2"), word == "Aborted" ? "Aborted" : "Succeeded");
      must(f.stable() == (word == "Aborted" ? "m-v1" : "m-v2"), f.stable());
    };
  });
}

TEST_CASE("a deadline pauses where the policy says so and running again gives it a new one") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s, [](Json& spec) { spec["rollout"]["onFailure"] = "Pause"; });
    auto broken = std::make_shared<bool>(true);
    s.controllers.pod_fate = [broken](const Json& pod) {
      return *broken && pod["metadata"]["labels"][api::kLabelVersion] == "m-v2" ? PodFate::Never
                                                                                : PodFate::Ready;
    };
    s.then(
        "mends the pods and says to run", [f] { return f.phase(f.to("m-v2")) == "Paused"; },
        [f, broken]() mutable {
          *broken = false;
          f.resume(f.to("m-v2"));
        });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

// ---- other wishes meanwhile ----

TEST_CASE("a newer version supersedes at each step") {
  explore<int>({0, 1, 2, 3, 4, 5, 6}, [](Sim& s, int step) {
    Fixture f = asking_for_v2(s, [](Json& spec) { spec["serving"]["replicas"] = 3; });
    s.then("asks for m-v3 at step " + std::to_string(step), at_step(f, "m-v2", step),
           [f]() mutable { f.ask_for("m-v3"); });
    s.expect = [f] {
      f.must_serve("m-v3");
      must(f.phase(f.to("m-v2")) == "Superseded" || beaten(f), f.phase(f.to("m-v2")));
    };
  });
}

TEST_CASE("going back to what serves ends the rollout at each step") {
  explore<int>({0, 1, 2, 3, 4, 5, 6}, [](Sim& s, int step) {
    Fixture f = asking_for_v2(s, [](Json& spec) { spec["serving"]["replicas"] = 3; });
    s.op.metrics["accuracy m-v1"] = "0.95";
    s.then("asks for m-v1 at step " + std::to_string(step), at_step(f, "m-v2", step),
           [f]() mutable { f.ask_for("m-v1"); });
    s.expect = [f] {
      f.must_serve("m-v1");
      must(f.phase(f.to("m-v2")) == "Superseded" || beaten(f), f.phase(f.to("m-v2")));
    };
  });
}

TEST_CASE("A and B and A again faster than anybody looks") {
  explore([](Sim& s) {
    Fixture f = usual(s);
    s.op.metrics["accuracy m-v1"] = "0.95";
    for (const char* version : {"m-v2", "m-v1", "m-v3", "m-v1"})
      s.then(
          std::string("asks for ") + version, [f] { return f.stable() != ""; },
          [f, version]() mutable { f.ask_for(version); });
    s.expect = [f] { f.must_serve("m-v1"); };
  });
}

TEST_CASE("scaled in the middle of a canary") {
  struct Scaled {
    int replicas, step;
  };
  explore<Scaled>({{0, 1}, {0, 4}, {1, 2}, {1, 6}, {5, 2}, {5, 6}, {7, 4}}, [](Sim& s, const Scaled& scaled) {
    const auto [replicas, step] = scaled;
    Fixture f = asking_for_v2(s, [](Json& spec) { spec["serving"]["replicas"] = 3; });
    s.then("scales to " + std::to_string(replicas), at_step(f, "m-v2", step), [f, replicas]() mutable {
      f.edit_spec([replicas](Json& spec) { spec["serving"]["replicas"] = replicas; });
    });
    s.expect = [f, replicas] {
      must(f.ready() && f.stable() == "m-v2", f.status().dump(1));
      must(f.ready_pods("m-v2") == replicas, "pods");
    };
  });
}

TEST_CASE("the template changes in the middle of a canary") {
  explore<int>({1, 2, 4, 6}, [](Sim& s, int step) {
    Fixture f = asking_for_v2(s, [](Json& spec) { spec["serving"]["replicas"] = 3; });
    s.then("changes the template", at_step(f, "m-v2", step), [f]() mutable {
      f.edit_spec([](Json& spec) {
        spec["serving"]["template"] = {
            {"spec", {{"containers", {{{"name", "server"}, {"image", "server:2"}}}}}}};
      });
    });
    s.expect = [f, &s] {
      f.must_serve("m-v2");
      for (const auto& ref : s.world.all(Kind::Pod))
        must(s.world.get(ref)["spec"]["containers"][0]["image"] == "server:2", "a pod of the old template");
    };
  });
}

TEST_CASE("the rollout that runs is deleted, which aborts it for good") {
  explore<int>({1, 2, 5, 6}, [](Sim& s, int step) {
    Fixture f = asking_for_v2(s, [](Json& spec) { spec["serving"]["replicas"] = 4; });
    auto stopped = std::make_shared<bool>(false);
    s.then("deletes it", at_step(f, "m-v2", step), [f, &s, stopped]() mutable {
      s.invariants.rollout_deleted = true;
      *stopped = f.phase(f.to("m-v2")) != "Succeeded";
      s.world.remove(ref(Kind::ModelRollout, f.to("m-v2")));
    });
    s.then("edits the steps", [] { return true; },
           [f]() mutable { f.edit_spec([](Json& spec) { spec["rollout"]["steps"] = Json::parse(R"([{"weight": 25}])"); }); });
    s.expect = [f] {
      if (f.stable() == "m-v2") return f.must_serve("m-v2");  // it was through, though its status did not say so yet
      f.must_be_degraded("RolloutAborted", "m-v1");
      must(f.status()["intent"]["reason"] == "RolloutDeleted", f.status().dump(1));
      must(f.count_rollouts("m-v2") == 0, "it was made again");
    };
  });
}

TEST_CASE("what was deleted in mid-rollout is retried by name") {
  explore([](Sim& s) {
    Fixture f = asking_for_v2(s);
    s.then("deletes it", at_step(f, "m-v2", 2), [f, &s]() mutable {
      s.invariants.rollout_deleted = true;
      s.world.remove(ref(Kind::ModelRollout, f.to("m-v2")));
    });
    s.then("retries", [f] { return f.reason() == "RolloutAborted" || f.stable() == "m-v2"; },
           [f]() mutable { f.make_rollout("m-v2-retry-1", "m-v2"); });
    s.expect = [f] { f.must_serve("m-v2"); };
  });
}

// Steps were edited while a canary paused; the abort that followed was undone within a second.
TEST_CASE("an edit of spec.rollout in mid-rollout does not start again what is aborted then, or fails") {
  explore<bool>({true, false}, [](Sim& s, const bool& aborts) {
    Fixture f = asking_for_v2(s);
    if (!aborts) s.op.metrics["accuracy m-v2"] = "0.5";
    s.then("edits", at_step(f, "m-v2", 2), [f]() mutable {
      f.edit_spec([&](Json& spec) {
        spec["rollout"]["steps"] = Json::parse(R"([{"weight": 25}])");
        spec["rollout"]["progressDeadlineSeconds"] = 77;
        spec["rollout"]["keepWarm"] = 1;
      });
    });
    if (aborts) s.then("aborts", at_step(f, "m-v2", 2), [f]() mutable { f.desire(f.to("m-v2"), "Aborted"); });
    s.expect = [f, aborts] {
      if (aborts && beaten(f)) return f.must_serve("m-v2");
      f.must_be_degraded(aborts ? "RolloutAborted" : "RolledBack", "m-v1");
      must(f.count_rollouts("m-v2") == 1, "it was tried again");
      const std::string message = f.status()["message"];
      must(message.find("spec.rollout has changed since; run kubectl model retry m to use it") != std::string::npos, message);
    };
  });
}

}  // namespace
}  // namespace mo::sim
