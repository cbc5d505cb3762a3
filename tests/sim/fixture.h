// The usual cast: Model m in namespace ns, versions m-v1, m-v2, …, a runtime, and short ways to say what
// people do and see.
#pragma once

#include <string>

#include "tests/sim/sim.h"

namespace mo::sim {

struct Fixture {
  explicit Fixture(Sim& sim);

  // ---- what people write ----
  Json model_spec;  // edit before make_model()
  void make_runtime(const std::string& name = "rules");
  void make_model();
  void make_version(const std::string& name, const Json& metrics = Json::object(),
                    const std::string& model = "m");
  void make_rollout(const std::string& name, const std::string& version);
  void edit_spec(const std::function<void(Json& spec)>& edit);
  void ask_for(const std::string& version);
  void desire(const std::string& rollout, const std::string& state);
  void resume(const std::string& rollout);  // a request that none was before

  // ---- what they see ----
  const Json& model() const;
  const Json& status() const;  // of the Model
  const Json* rollout(const std::string& name) const;
  std::string phase(const std::string& rollout) const;  // "" if it isn't there
  int step(const std::string& rollout) const;
  int weight(const std::string& rollout) const;
  std::string to(const std::string& version) const;  // name of the newest rollout to this version
  std::string condition(const std::string& type) const;
  std::string reason(const std::string& type = "Ready") const;
  std::string stable() const;
  std::string version_phase(const std::string& version) const;
  int ready_pods(const std::string& version) const;
  int count_rollouts(const std::string& version) const;
  bool ready() const { return condition("Ready") == "True"; }
  std::function<bool()> is_ready() const;  // Ready, and status speaks of the newest spec
  std::function<bool()> serves(const std::string& version) const;

  // ---- what must be in the end ----
  void must_serve(const std::string& version) const;
  void must_be_degraded(const std::string& reason, const std::string& serving) const;
  void must_be(const std::string& rollout, const std::string& phase) const;

  Sim& s;
};

// Runtime, versions m-v1 to m-v3 and Model m, which asks for m-v1. `edit` is done to the Model's spec first.
Fixture usual(Sim& sim, const std::function<void(Json& spec)>& edit = {});

// What served before: a Deployment whose pods, labelled app: <name>, are all ready, and a Service that selects app: <app>.
void make_foreign_deployment(World& world, const std::string& name, int replicas);
void make_foreign_service(World& world, const std::string& name, const std::string& app, const Json& ports);

std::string digest(const std::string& seed);
// One of each kind of step.
Json canary_steps();
Json prometheus_gate(const std::string& name, const std::string& min);

}  // namespace mo::sim
