#include "reconcilers/rollout/policy.h"

#include <algorithm>
#include <map>
#include <set>

#include "operator/json/json.h"
#include "reconcilers/rollout/advance.h"

namespace mo::rollout {
namespace {

constexpr size_t kLargestObject = 8u << 20;  // more than the API server stores

std::string name_of(const Json& gate) {
  const auto name = gate.is_object() ? gate.find("name") : gate.end();
  return gate.is_object() && name != gate.end() && name->is_string() ? name->get<std::string>() : "";
}

class Resolve {
 public:
  explicit Resolve(const Observed& o)
      : o_(o), m_(*o.model), policy_(std::make_shared<api::RolloutPolicy>(m_.rollout)) {}

  Policy run() {
    Policy out;
    out.rollouts = find_sets();
    take_required(out.rollouts);
    if (m_.retraining && !m_.retraining->all_gates().empty()) out.retraining = out.rollouts;
    take_for_rollouts(out.rollouts);
    if (m_.retraining) take_for_retraining(out.retraining);
    const bool somebody_starts = std::any_of(o_.rollouts.begin(), o_.rollouts.end(), [](const auto& r) {
      return !is_over(r->status.phase) && !r->status.policy;
    });
    if (somebody_starts) write_down(out.rollouts);
    out.required_unknown = required_unknown_;
    out.policy = policy_;
    return out;
  }

 private:
  struct Set {
    ObjectRef ref;
    Ref<api::GateSet> set;
    std::set<std::string> taken;  // names of its gates
  };

  static std::string words(const ObjectRef& set) {
    return std::string(info(set.kind).kind) + " " + set.key.name;
  }

  // A set that is missing is missed also where every name is defined elsewhere: it might define it first.
  Waiting find_sets() {
    Waiting problem;
    for (const api::GateSetRef& named : m_.rollout.gate_sets) {
      const ObjectRef ref = named.from(o_.key.ns);
      const auto found = o_.gate_sets.find(ref);
      if (found != o_.gate_sets.end()) sets_.push_back({ref, found->second, {}});
      if (ref.kind == Kind::ClusterModelGateSet && (found == o_.gate_sets.end() || !found->second->problem.empty()))
        required_unknown_ = true;
      if (!problem.reason.empty()) continue;
      if (found == o_.gate_sets.end())
        problem = missing(ref);
      else if (!found->second->problem.empty())
        problem = {"InvalidGateSet", words(ref) + ": " + found->second->problem, true};
    }
    return problem;
  }

  Waiting missing(const ObjectRef& ref) const {
    if (ref.kind == Kind::ClusterModelGateSet && o_.cluster_gate_sets_denied)
      return {"GateSetForbidden",
              "an operator of one namespace may not read " + words(ref) +
                  ": put its gates into a ModelGateSet, or allow the operator's ServiceAccount to watch clustermodelgatesets",
              true};
    return {"GateSetNotFound",
            words(ref) + " does not exist" + (ref.key.ns.empty() ? "" : " in namespace " + ref.key.ns) +
                ": create it, or correct spec.rollout.gateSets of Model " + o_.key.name,
            true};
  }

  // Before all others, so that none takes their place.
  void take_required(Waiting& problem) {
    std::map<std::string, const Set*> by;
    for (Set& set : sets_) {
      if (set.ref.kind != Kind::ClusterModelGateSet) continue;
      for (const api::Gate& gate : set.set->gates)
        if (gate.required) require(gate, set, by, problem);
    }
  }

  void require(const api::Gate& gate, Set& set, std::map<std::string, const Set*>& by, Waiting& problem) {
    const auto [other, first] = by.emplace(gate.name, &set);
    if (first) {
      std::erase_if(policy_->gates, [&](const api::Gate& own) { return own.name == gate.name; });
      policy_->gates.push_back(gate);
      policy_->cluster_gates.push_back(gate.name);
      replaced_.insert(gate.name);
      set.taken.insert(gate.name);
    }
    if (gate.measurable() && *other->second->set->gate(gate.name) == gate) return;
    required_unknown_ = true;
    if (!problem.reason.empty()) return;
    if (!gate.measurable())
      problem = {"GateUndefined", words(set.ref) + " requires gate " + gate.name + ", but this operator does not support its kind", true};
    else
      problem = {"GateConflict",
                 words(other->second->ref) + " and " + words(set.ref) + " both require gate " + gate.name +
                     " and define it differently: rename one of them",
                 true};
  }

  void take_for_rollouts(Waiting& problem) {
    const auto& steps = m_.rollout.steps;
    for (size_t i = 0; i < steps.size(); ++i)
      for (const auto* names : {&steps[i].gates, &steps[i].background})
        for (const std::string& name : *names) take(name, "step " + std::to_string(i + 1), problem);
    if (!m_.rollout.bake) return;
    for (const std::string& name : m_.rollout.bake->gates) take(name, "bake", problem);
  }

  void take_for_retraining(Waiting& problem) {
    for (const std::string& name : m_.retraining->all_gates()) {
      const api::Gate* gate = take(name, "retraining", problem);
      if (gate && !gate->version_metric && problem.reason.empty())
        problem = {"GateUnsuitable",
                   "retraining names gate " + name +
                       ", which is not of kind version; a newly trained candidate has no traffic to measure, so name only gates "
                       "of kind version",
                   true};
    }
  }

  // Null, and `problem` if there was none before, if nobody defines it. The gate is good until the next call.
  const api::Gate* take(const std::string& name, const std::string& by, Waiting& problem) {
    if (const api::Gate* gate = policy_->gate(name)) return gate;
    std::string why = ", which neither rollout.gates nor";
    const char* before = " ";
    for (Set& set : sets_) {
      const api::Gate* gate = set.set->gate(name);
      if (gate && gate->measurable()) {
        set.taken.insert(name);
        policy_->gates.push_back(*gate);
        if (set.ref.kind == Kind::ClusterModelGateSet) policy_->cluster_gates.push_back(name);
        return &policy_->gates.back();
      }
      if (gate) {
        why = ", but this operator does not support its kind; it is defined in " + words(set.ref);
        break;
      }
      why += before + words(set.ref);
      before = " or ";
    }
    if (problem.reason.empty())
      problem = {"GateUndefined",
                 by + " names gate " + name + why + (why.starts_with(", which") ? " defines" : "") +
                     ": define it there or correct the name",
                 true};
    return nullptr;
  }

  // Only what is named: a set may hold far more.
  void write_down(Waiting& problem) {
    Result<Json> whole = parse_json(m_.rollout.raw, kLargestPolicy);
    if (!whole) return;
    Json& gates = (*whole)["gates"];
    if (!gates.is_array()) gates = Json::array();
    for (size_t i = gates.size(); i-- > 0;)
      if (replaced_.count(name_of(gates[i]))) gates.erase(i);
    for (const Set& set : sets_) {
      if (set.taken.empty()) continue;
      Result<Json> spec = parse_json(set.set->raw, kLargestObject);
      if (!spec) continue;
      for (Json& gate : (*spec)["gates"])
        if (set.taken.count(name_of(gate))) gates.push_back(gate);
    }
    std::string text = whole->dump();
    if (text.size() <= kLargestPolicy) {
      policy_->raw = std::move(text);
    } else if (problem.reason.empty()) {
      problem = {"GateSetTooLarge",
                 "the gates that the steps take from gate sets have " + std::to_string(text.size()) +
                     " bytes; a ModelRollout stores at most " + std::to_string(kLargestPolicy) +
                     ": shorten their Job templates",
                 true};
    }
  }

  const Observed& o_;
  const api::Model& m_;
  std::shared_ptr<api::RolloutPolicy> policy_;
  std::vector<Set> sets_;  // those that are there, in the Model's order
  std::set<std::string> replaced_;  // names of required gates, which a gate of the Model's own cannot bear
  bool required_unknown_ = false;
};

}  // namespace

Policy resolve(const Observed& o) {
  if (o.model->rollout.gate_sets.empty()) return {Ref<api::RolloutPolicy>(o.model, &o.model->rollout), {}, {}};
  return Resolve(o).run();
}

}  // namespace mo::rollout
