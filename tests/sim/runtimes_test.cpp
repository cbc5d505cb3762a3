// An edited ModelRuntime that updates its Models by itself: so many at once, the least critical first, and no further after a failure.
#include <catch2/catch.hpp>

#include "tests/sim/fleet.h"

namespace mo::sim {

TEST_CASE("an edited runtime rolls out over its Models, one after the other, the least critical first") {
  explore([](Sim& s) {
    const Fleet f(s, {{"policy", "Automatic"}, {"maxConcurrent", 1}});
    s.then("patches the runtime", [f] { return f.all_ready() && f.status().value("updated", 0) == 3; }, [f] { f.patch("patched"); });
    s.always = f.bounded(1);
    s.expect = [f] {
      for (const std::string& model : f.models) must(f.runs(model, "patched"), model + " is to run the patch");
      const Json status = f.status();
      must(status["updated"] == 3 && status["failed"] == 0 && status["rolling"].empty(), status.dump(1));
      const auto rollouts = f.rollouts();
      must(rollouts.size() == 3, "one rollout for each");
      const char* order[] = {"z", "m", "a"};
      for (size_t i = 0; i < 3; ++i) must(rollouts[i]["spec"]["modelRef"]["name"] == order[i], rollouts[i].dump(1));
    };
  });
}

TEST_CASE("a patch that one Model's gate refuses goes no further, and another patch goes on") {
  explore<int>({0, 1}, [](Sim& s, const int& mended) {
    const Fleet f(s, {{"policy", "Automatic"}, {"maxConcurrent", 1}, {"maxFailures", 1}});
    s.op.metrics["accuracy z-v1"] = "0.5";
    s.then("patches the runtime", [f] { return f.all_ready() && f.status().value("updated", 0) == 3; }, [f] { f.patch("bad"); });
    if (mended)
      s.then("patches it again", [f] { return f.status().value("failed", 0) == 1; }, [f, &s] {
        s.op.metrics["accuracy z-v1"] = "0.95";
        f.patch("good");
      });
    s.always = f.bounded(1);
    s.expect = [f, mended] {
      const Json status = f.status();
      for (const std::string& model : f.models) must(f.runs(model, mended ? "good" : "model-server:dev"), model + " runs another image");
      if (mended) return must(status["updated"] == 3 && status["failed"] == 0, status.dump(1));
      must(status["updated"] == 0 && status["failed"] == 1 && status["failures"] == Json({"ns/z"}) && status["rolling"].empty(), status.dump(1));
      must(f.rollouts().size() == 1, "nobody else began");
      bool told = false;
      for (const Json& c : status["conditions"])
        told |= c["type"] == "Stalled" && c["status"] == "True" && c["message"].get<std::string>().find("the rollout of 1 of 3 Models failed (ns/z)") != std::string::npos;
      must(told, status.dump(1));
    };
  });
}

// A Model whose steps pause for ever, and one that never gets to its rollout, kept the patch from all others.
TEST_CASE("who waits for people, or cannot begin, takes nobody's place") {
  explore([](Sim& s) {
    const Fleet f(s, {{"policy", "Automatic"}, {"maxConcurrent", 1}});
    s.then("lets one pause for ever, another make no ModelRollout, and patches the runtime", [f] { return f.all_ready() && f.status().value("updated", 0) == 3; }, [f, &s] {
      s.world.update(ref(Kind::Model, "z"), [](Json& o) { o["spec"]["rollout"]["steps"] = Json::parse(R"([{"weight": 50}, {"pause": {}}])"); }, "kubectl");
      s.world.admission = [](const Apply& apply) -> std::optional<Error> {
        if (apply.target.key.name.find("m-v1-rt-") != 0) return {};
        return Error{ErrorKind::Forbidden, "exceeded quota", 403, {}, {}};
      };
      f.patch("patched");
    });
    s.until = [f] { return f.runs("a", "patched") && f.status().value("updated", 0) == 1; };
    s.expect = [f] { must(f.status()["waiting"] == 2 && f.status()["failed"] == 0, f.status().dump(1)); };
  });
}

TEST_CASE("whoever goes back from a patch stays there") {
  explore([](Sim& s) {
    const Fleet f(s, {{"policy", "Automatic"}, {"maxConcurrent", 3}, {"maxFailures", 2}});
    s.then("patches the runtime", [f] { return f.all_ready() && f.status().value("updated", 0) == 3; }, [f] { f.patch("patched"); });
    s.then("goes back", [f] { return f.status().value("updated", 0) == 3 && f.rollouts().size() == 3 && f.all_ready(); }, [f, &s] {
      const Json before = f.status_of("m")["previous"];
      s.world.create({{"kind", "ModelRollout"},
                      {"metadata", {{"name", "back"}}},
                      {"spec", {{"modelRef", {{"name", "m"}}}, {"version", "m-v1"}, {"revision", before["revision"]["name"]}, {"desiredState", "Promoted"}}}},
                     "kubectl");
    });
    s.expect = [f] {
      must(f.runs("m", "model-server:dev") && f.runs("a", "patched") && f.runs("z", "patched"), "m alone is to run the old image");
      must(f.rollouts().size() == 4, "nobody rolls it out again");
      must(f.status()["failed"] == 0 && f.status()["declined"] == 1, f.status().dump(1));
    };
  });
}

TEST_CASE("without the policy Automatic the runtime's status counts nobody") {
  explore([](Sim& s) {
    const Fleet f(s, {{"policy", "Automatic"}});
    s.then("takes it back", [f] { return f.all_ready() && f.status().value("updated", 0) == 3; },
           [f] { f.edit_runtime([](Json& spec) { spec["update"]["policy"] = "OnNextRollout"; }); });
    s.then("patches the runtime", [f] { return !f.status().contains("following"); }, [f] { f.patch("patched"); });
    s.expect = [f] {
      must(f.rollouts().empty(), "nothing rolls out");
      for (const std::string& model : f.models) must(f.runs(model, "model-server:dev"), model + " runs another image");
    };
  });
}

// The words of before stayed on record. So it counted as one that asks for something else, and no patch reached it.
TEST_CASE("a Model whose template says the same in other words follows its runtime on") {
  explore([](Sim& s) {
    const Fleet f(s, {{"policy", "Automatic"}});
    s.then("writes the template otherwise", [f] { return f.all_ready() && f.status().value("updated", 0) == 3; }, [&s] {
      s.world.update(ref(Kind::Model, "m"), [](Json& o) { o["spec"]["serving"]["template"] = {{"spec", {{"restartPolicy", "Always"}}}}; }, "kubectl");
    });
    s.then("patches the runtime", [f, &s] { return f.all_ready() && f.status_of("m")["observedGeneration"] == s.world.get(ref(Kind::Model, "m"))["metadata"]["generation"]; },
           [f] { f.patch("patched"); });
    s.expect = [f] {
      for (const std::string& model : f.models) must(f.runs(model, "patched"), model + " is to run the patch");
      must(f.rollouts().size() == 3, "one rollout for each");
    };
  });
}

TEST_CASE("a runtime that is deleted on the way leaves all that serves, and another of its name goes on") {
  explore<int>({0, 1}, [](Sim& s, const int& comes_back) {
    const Fleet f(s, {{"policy", "Automatic"}, {"maxConcurrent", 1}});
    const Json spec = f.spec();
    s.then("patches the runtime", [f] { return f.all_ready() && f.status().value("updated", 0) == 3; }, [f] { f.patch("patched"); });
    const auto begun = [f] { return f.rollouts().size() == 1 && f.rollouts()[0].value("status", Json::object()).contains("revision"); };
    s.then("deletes it", begun, [&s] { s.world.remove(ObjectRef{Kind::ModelRuntime, {"", "rules"}}); });
    if (comes_back)
      s.then("makes it again", [f] { return f.status_of("m").value("message", "").find("ModelRuntime") != std::string::npos; }, [f, spec] {
        f.make_runtime("rules", spec);
        f.patch("patched");
      });
    s.always = f.bounded(1);
    s.expect = [f, comes_back] {
      for (const std::string& model : f.models) {
        const bool patched = comes_back || model == "z";  // whose rollout has it on record
        must(f.runs(model, patched ? "patched" : "model-server:dev"), model + " runs another image");
        const Json status = f.status_of(model);
        must(status.value("stableVersion", "") == model + "-v1", status.dump(1));
        if (!comes_back) must(status["message"].get<std::string>().find(model + "-v1 keeps serving unchanged") != std::string::npos, status.dump(1));
      }
      must(f.rollouts().size() == (comes_back ? 3 : 1), "rollouts");
    };
  });
}

TEST_CASE("runtimes that are edited again and again, one of them on its way, move no more Models at once than may be") {
  explore([](Sim& s) {
    const Fleet f(s, {{"policy", "Automatic"}, {"maxConcurrent", 2}});
    for (int i = 1; i < 5; ++i) f.make_runtime("rules-" + std::to_string(i), f.spec());  // chosen by nobody: the first name is
    // As fast as people can, half of them once the first has begun to roll out. Each edit once let as many more begin.
    const auto ready = [f](int i) { return i == 1 ? f.all_ready() && f.status().value("updated", 0) == 3 : i < 3 || !f.rollouts().empty(); };
    for (int i = 1; i <= 6; ++i)
      s.then("edits", [ready, i] { return ready(i); },
             [f, &s, i] {
               f.patch("patch-" + std::to_string(i));
               if (i < 5)
                 s.world.update(ObjectRef{Kind::ModelRuntime, {"", "rules-" + std::to_string(i)}},
                                [&](Json& o) { o["spec"]["template"]["spec"]["containers"][0]["image"] = "other"; }, "kubectl");
             });
    s.always = f.bounded(2);
    s.expect = [f] {
      for (const std::string& model : f.models) must(f.runs(model, "patch-6"), model + " is to run the last");
      // A rollout goes to what the runtime said when it began, and the next one to what it says by then.
      must(f.rollouts().size() <= 15, std::to_string(f.rollouts().size()) + " rollouts");
    };
  });
}

}  // namespace mo::sim
