// The invariants of api.md's nine rules, from the world's point of view: what pods get traffic, not what
// plans say.
#pragma once

#include <map>
#include <set>
#include <string>

#include "tests/sim/operator.h"

namespace mo::sim {

class Invariants : public Observer {
 public:
  explicit Invariants(World& world) : w_(world) {}

  // "accuracy/m-v3": this gate must never let this version pass.
  std::set<std::string> must_not_pass;
  // Of these versions nobody gets a request before people's word that the API server itself has told of.
  std::set<std::string> needs_word;
  // Pods fail or Deployments are changed by others: capacity and shares are then not ours alone to keep.
  bool disturbed = false;
  // Set: there are never more pods of a Model than these.
  int most_pods = 0;
  // The operator keeps audit trails.
  bool audited = true;
  // A rollout was deleted while it had traffic, which nobody's status speaks of any more.
  bool rollout_deleted = false;

  // What it has to remember of what was.
  struct State {
    std::map<std::string, int> weight;  // rollout UID -> highest weight so far
    // "model/version" -> what the spec wanted to serve when a rollout to it failed or was aborted
    std::map<std::string, std::string> stopped;
    std::set<std::string> failed;  // names of such rollouts
    bool rollout_deleted = false;
  };
  State state() const {
    State state = s_;
    state.rollout_deleted = rollout_deleted;
    return state;
  }
  void load(const State& state) {
    s_ = state;
    rollout_deleted = state.rollout_deleted;
  }

  void before(const Action& action, const Ref<api::Model>& known) override;
  void after_step();
  // Once nothing moves any more.
  void at_rest(const std::string& still_to_write);

 private:
  enum class Selected { Nobody, Everyone, One };
  struct View {  // of one Model, as it is
    Ref<api::Model> model;
    Ref<api::ModelRollout> active;
    Selected selected = Selected::Nobody;
    std::string side;  // One
    std::string stable, candidate;  // sides
    std::map<std::string, int> ready;  // by side
  };
  View look(const api::Model& model) const;
  int ready_of(const View& view, const std::string& side) const;

  bool adopts(const ObjectRef& target, const std::string& uid) const;
  void check_foreign() const;
  void check_owner(const Action& action, const api::Model& known) const;
  void check_write(const WriteStatus& write, const Ref<api::Model>& known);
  void check_conditions(const ObjectRef& ref, const Json& before, const Json& after) const;
  void check_rollout_status(const ObjectRef& ref, const Json& before, const Json& after);
  void check_recorded(const WriteStatus& write, const Json& before, const Json& after) const;
  void check_trail(const api::Model& model);
  void check_word(const ObjectRef& ref, const std::string& version, const Json& status) const;
  void check_pods_without_word(const Action& action) const;
  static std::string wish(const api::Model& model);
  void forget_other_wishes();
  void remember_failure(const std::string& rollout, const std::string& version, const Ref<api::Model>& known);
  void check_stable_capacity(const Action& action, const api::Model& known) const;
  void check_scale_down(const View& view, const api::Model& known, int replicas) const;
  void check_removal(const View& view, const Delete& removal) const;
  void check_gap(const View& view, const api::Model& known, int replicas) const;
  void check_turn(const View& view, const api::Model& known, const std::string& to) const;
  void check_template(const Apply& apply, const api::Model& known) const;
  void check_history(const Delete& removal, const api::Model& known) const;
  void check_not_again(const Apply& apply, const api::Model& known) const;
  void check_traffic(const View& view) const;
  void check_share(const View& view) const;
  void check_route(const View& view) const;
  void check_gateway(const View& view) const;
  void check_apart(const View& view, const api::HttpRoute& route) const;
  void check_room(const View& view) const;
  void check_model_at_rest(const View& view) const;
  void check_retired(const View& view) const;
  void check_agreement(const View& view) const;

  World& w_;
  State s_;
  int64_t checked_ = 0;
  std::map<std::string, std::pair<std::string, size_t>> trails_;  // by UID of the Model: what was whole
};

}  // namespace mo::sim
