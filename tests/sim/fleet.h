// Three Models, of the tiers high, medium and low, that serve by one ModelRuntime, which may update them by itself.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "tests/sim/fixture.h"

namespace mo::sim {

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

  Json spec() const { return s.world.get(ObjectRef{Kind::ModelRuntime, {"", "rules"}})["spec"]; }
  void make_runtime(const std::string& name, const Json& spec) const {
    s.world.create({{"kind", "ModelRuntime"}, {"metadata", {{"name", name}}}, {"spec", spec}}, "kubectl");
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

}  // namespace mo::sim
