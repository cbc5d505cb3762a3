// An edited ModelRuntime that updates its Models by itself: so many at once, the least critical first, and no further after a failure.
#include <catch2/catch.hpp>

#include "tests/sim/fixture.h"

namespace mo::sim {
namespace {

struct Fleet {
  Sim& s;
  std::vector<std::string> models = {"a", "m", "z"};  // of risk tier high, medium and low

  explicit Fleet(Sim& sim, const Json& update) : s(sim) {
    Fixture f(s);
    f.make_runtime();
    edit_runtime([&](Json& spec) { spec["update"] = update; });
    Json tiers = {"high", "medium", "low"};
    for (size_t i = 0; i < models.size(); ++i) {
      const std::string& name = models[i];
      f.make_version(name + "-v1", Json::object(), name);
      s.world.create({{"kind", "Model"},
                      {"metadata", {{"name", name}}},
                      {"spec",
                       {{"version", name + "-v1"},
                        {"riskTier", tiers[i]},
                        {"serving", {{"replicas", 2}}},
                        {"rollout", {{"steps", Json::parse(R"([{"weight": 50}, {"gates": ["accuracy"]}])")}, {"gates", {prometheus_gate("accuracy", "0.9")}}}}}}},
                     "kubectl");
      s.op.metrics["accuracy " + name + "-v1"] = "0.95";
    }
  }

  void edit_runtime(const std::function<void(Json& spec)>& edit) const {
    s.world.update(ObjectRef{Kind::ModelRuntime, {"", "rules"}}, [&](Json& o) { edit(o["spec"]); }, "kubectl");
  }
  void patch(const std::string& image) const {
    edit_runtime([&](Json& spec) { spec["template"]["spec"]["containers"][0]["image"] = image; });
  }

  Json status() const { return s.world.get(ObjectRef{Kind::ModelRuntime, {"", "rules"}}).value("status", Json::object()); }
  Json status_of(const std::string& model) const { return s.world.get(ref(Kind::Model, model)).value("status", Json::object()); }
  bool all_ready() const {
    return std::all_of(models.begin(), models.end(), [&](const auto& m) { return status_of(m).value("phase", "") == "Ready"; });
  }
  bool runs(const std::string& model, const std::string& image) const {
    const auto pods = s.world.truth.pods.of_model({"ns", model});
    return !pods.empty() && std::all_of(pods.begin(), pods.end(), [&](const auto& pod) {
      const Json it = s.world.get({Kind::Pod, pod->meta.key});
      return it["spec"]["containers"][0]["image"] == image;
    });
  }
  std::vector<Json> rollouts() const {  // in the order in which they began
    std::vector<Json> all;
    for (const ObjectRef& r : s.world.all(Kind::ModelRollout)) all.push_back(s.world.get(r));
    std::sort(all.begin(), all.end(), [](const Json& a, const Json& b) {
      return std::stoll(a["metadata"]["uid"].get<std::string>().substr(4)) < std::stoll(b["metadata"]["uid"].get<std::string>().substr(4));
    });
    return all;
  }
  // Seen at each step: no more at once than may be.
  std::function<void()> bounded(size_t most) const {
    return [f = *this, most] {
      size_t live = 0;
      for (const Json& r : f.rollouts()) {
        const std::string phase = r.value("status", Json::object()).value("phase", "");
        live += phase != "Succeeded" && phase != "RolledBack" && phase != "Failed" && phase != "Aborted";
      }
      must(live <= most, std::to_string(live) + " Models roll out at once");
    };
  }
};

}  // namespace

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

}  // namespace mo::sim
