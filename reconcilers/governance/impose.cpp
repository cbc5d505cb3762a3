// What enforced policies add to the policy that a rollout takes its snapshot of.
#include <algorithm>
#include <set>

#include "operator/json/json.h"
#include "reconcilers/governance/policies.h"
#include "reconcilers/rollout/advance.h"

namespace mo::governance {
namespace {

constexpr size_t kLargestObject = 8u << 20;  // more than the API server stores

template <class T>
void add(std::vector<T>& to, const T& value) {
  if (std::find(to.begin(), to.end(), value) == to.end()) to.push_back(value);
}

std::string name_of(const Json& gate) {
  const auto name = gate.is_object() ? gate.find("name") : gate.end();
  return gate.is_object() && name != gate.end() && name->is_string() ? name->get<std::string>() : "";
}

class Impose {
 public:
  Impose(const Observed& o, rollout::Policy& policy)
      : o_(o), out_(policy), policy_(std::make_shared<api::RolloutPolicy>(*policy.policy)) {}

  void run() {
    for (const auto& policy : o_.policies)
      if (policy->enforced) take(*policy);
    if (!background_.empty()) {
      api::Step watch;
      watch.background = background_;
      policy_->steps.insert(policy_->steps.begin(), watch);
    }
    bake();
    const bool somebody_starts = std::any_of(o_.rollouts.begin(), o_.rollouts.end(), [](const auto& r) {
      return !rollout::is_over(r->status.phase) && !r->status.policy;
    });
    if (somebody_starts) write_down();
    out_.policy = policy_;
    out_.governance = std::move(record_);
  }

 private:
  void take(const api::ModelPolicy& p) {
    record_.policies.push_back({p.meta.key.name, p.meta.uid, p.meta.generation});
    for (const api::Gate& gate : p.gates) take_gate(p, gate);
    for (const std::string& name : p.before_traffic) add(record_.before_traffic, name);
    for (const std::string& name : p.background) add(background_, name);
    for (const api::ApprovalDemand& demand : p.approvals) take_demand(demand);
    if (p.min_bake) record_.min_bake = std::max(*p.min_bake, record_.min_bake.value_or(Duration(0)));
    if (p.min_shadow) record_.min_shadow = std::max(*p.min_shadow, record_.min_shadow.value_or(Duration(0)));
    record_.separate_author |= p.separate_author;
    record_.separate_trainer |= p.separate_trainer;
    if (p.approval_valid_for && (!record_.approval_valid_for || *p.approval_valid_for < *record_.approval_valid_for))
      record_.approval_valid_for = p.approval_valid_for;
  }

  // No gate of the Model, nor of its gate sets, takes the place of a policy's.
  void take_gate(const api::ModelPolicy& p, api::Gate gate) {
    if (!taken_.insert(gate.name).second) return;
    gate.required = !gate.dry_run;
    std::erase_if(policy_->gates, [&](const api::Gate& own) { return own.name == gate.name; });
    add(policy_->cluster_gates, gate.name);  // the cluster's admins wrote it
    policy_->gates.push_back(gate);
    gates_of_.push_back({&p, gate.name});
  }

  void take_demand(const api::ApprovalDemand& demand) {
    for (api::ApprovalDemand& known : record_.approvals)
      if (known.role == demand.role && known.before == demand.before) {
        known.count = std::max(known.count, demand.count);
        return;
      }
    record_.approvals.push_back(demand);
  }

  void bake() {
    if (!record_.min_bake) return;
    if (!policy_->bake) policy_->bake = api::RolloutPolicy::Bake{};
    policy_->bake->duration = std::max(policy_->bake->duration, *record_.min_bake);
    for (const std::string& name : background_) add(policy_->bake->gates, name);
  }

  // The snapshot's text, which status keeps.
  void write_down() {
    Result<Json> whole = parse_json(policy_->raw, rollout::kLargestPolicy);
    if (!whole) return;
    Json& gates = (*whole)["gates"];
    if (!gates.is_array()) gates = Json::array();
    for (size_t i = gates.size(); i-- > 0;)
      if (taken_.count(name_of(gates[i]))) gates.erase(i);
    for (const auto& [policy, name] : gates_of_) write_gate(gates, *policy, name);
    if (!background_.empty()) {
      Json& steps = (*whole)["steps"];
      if (!steps.is_array()) steps = Json::array();
      steps.insert(steps.begin(), Json{{"background", background_}});
    }
    if (policy_->bake) {
      Json& bake = (*whole)["bake"];
      if (!bake.is_object()) bake = Json::object();
      bake["duration"] = format_duration(policy_->bake->duration);
      if (!policy_->bake->gates.empty()) bake["gates"] = policy_->bake->gates;
    }
    policy_->raw = whole->dump();
    if (policy_->raw.size() > rollout::kLargestPolicy && out_.rollouts.reason.empty())
      out_.rollouts = {"PolicyTooLarge",
                       "the gates of the Model and its ModelPolicies have " + std::to_string(policy_->raw.size()) +
                           " bytes; a ModelRollout stores at most " + std::to_string(rollout::kLargestPolicy) +
                           ": shorten their Job templates",
                       true};
  }

  static void write_gate(Json& gates, const api::ModelPolicy& policy, const std::string& name) {
    Result<Json> spec = parse_json(policy.raw, kLargestObject);
    if (!spec || !spec->is_object()) return;
    for (Json& gate : (*spec)["gates"]) {
      if (name_of(gate) != name) continue;
      if (!policy.gate(name)->dry_run) gate["required"] = true;
      gates.push_back(gate);
    }
  }

  struct GateOf {
    const api::ModelPolicy* policy;
    std::string name;
  };
  const Observed& o_;
  rollout::Policy& out_;
  std::shared_ptr<api::RolloutPolicy> policy_;
  api::GovernanceRecord record_;
  std::vector<std::string> background_;
  std::set<std::string> taken_;
  std::vector<GateOf> gates_of_;
};

// Nobody asks for it while nothing rolls, is yet to serve, or is trained.
bool wanted(const Observed& o) {
  if (std::none_of(o.policies.begin(), o.policies.end(), [](const auto& p) { return p->enforced; })) return false;
  if (o.model->status.stable_version.empty() || (o.model->retraining && !o.model->retraining->gates.empty())) return true;
  return std::any_of(o.rollouts.begin(), o.rollouts.end(), [](const auto& r) { return !rollout::is_over(r->status.phase); });
}

}  // namespace

void impose(const Observed& observed, rollout::Policy& policy) {
  if (wanted(observed)) Impose(observed, policy).run();
}

rollout::Policy resolve(const Observed& observed) {
  rollout::Policy policy = rollout::resolve(observed);
  impose(observed, policy);
  return policy;
}

}  // namespace mo::governance
