#include "reconcilers/governance/approvals.h"

#include <algorithm>
#include <map>

#include "operator/core/digest.h"
#include "operator/json/json.h"

namespace mo::governance {
namespace {

// Whoever may create ModelApprovals may create many. All are looked at, lest some hide a rejection; no more are told.
constexpr size_t kTold = 20;

// Gives each slot a person who may fill it, as many slots as can be (augmenting paths).
class Seats {
 public:
  explicit Seats(std::vector<std::vector<size_t>> may) : may_(std::move(may)) {}

  // For each slot the person, or npos.
  static constexpr size_t kNobody = static_cast<size_t>(-1);
  std::vector<size_t> fill() {
    std::vector<size_t> filled(may_.size(), kNobody);
    for (size_t slot = 0; slot < may_.size(); ++slot) {
      std::set<size_t> tried;
      seat(slot, tried);
    }
    for (const auto& [person, slot] : of_) filled[slot] = person;
    return filled;
  }

 private:
  bool seat(size_t slot, std::set<size_t>& tried) {
    for (const size_t person : may_[slot]) {
      if (!tried.insert(person).second) continue;
      const auto taken = of_.find(person);
      if (taken != of_.end() && !seat(taken->second, tried)) continue;
      of_[person] = slot;
      return true;
    }
    return false;
  }

  std::vector<std::vector<size_t>> may_;  // by slot: who may
  std::map<size_t, size_t> of_;           // by person: the slot
};

class Count {
 public:
  Count(const Question& q, TimePoint now) : q_(q), now_(now) {}

  Tally run(const std::vector<Ref<api::ModelApproval>>& approvals, const std::set<std::string>* among) {
    for (const api::ApprovalDemand& demand : q_.record.approvals)
      if (demand.before == q_.before) out_.roles.push_back({demand.role, demand.count, 0});
    for (const auto& approval : approvals) {
      if (approval->rollout != q_.rollout.meta.key.name || (among && !among->count(approval->meta.uid))) continue;
      if (const std::string why = void_by(*approval); !why.empty())
        pass_over(*approval, why);
      else if (!approval->approved)
        out_.rejected = out_.rejected ? out_.rejected : approval;
      else if (!word_of(approval->approver, approval->role))
        valid_.push_back(approval);
    }
    seat();
    return std::move(out_);
  }

 private:
  void pass_over(const api::ModelApproval& a, const std::string& why) {
    if (out_.passed_over.size() < kTold)
      out_.passed_over.push_back("ModelApproval " + a.meta.key.name + " by " + a.approver + " does not count: " + why);
  }

  std::string void_by(const api::ModelApproval& a) const {
    if (a.meta.deleting) return "it is being deleted";
    if (std::none_of(out_.roles.begin(), out_.roles.end(), [&](const auto& r) { return r.role == a.role; }))
      return "role " + a.role + " is not required by this rollout";
    if (a.subject != q_.subject) return "the artifact, policies or gate results changed since; approve again";
    if (!a.approved) return "";
    const auto& authors = q_.record.authors;
    if (std::find(authors.begin(), authors.end(), a.approver) != authors.end()) {
      if (q_.record.separate_author) return "the author of the change may not approve it";
      if (q_.record.separate_trainer) return "the person who trained the version may not approve it";
    }
    if (const auto until = valid_until(a); until && *until <= now_) return "it was valid until " + format_time(*until);
    for (const api::Clearance& clearance : q_.record.cleared)
      for (const api::UsedApproval& used : clearance.approvals)
        if (used.approver == a.approver && used.role != a.role)
          return a.approver + " has approved for role " + used.role + " already";
    return "";
  }

  std::optional<TimePoint> valid_until(const api::ModelApproval& a) const {
    if (!q_.record.approval_valid_for) return {};
    return a.meta.created + *q_.record.approval_valid_for;
  }

  void seat() {
    std::vector<std::string> people;
    for (const auto& approval : valid_)
      if (std::find(people.begin(), people.end(), approval->approver) == people.end()) people.push_back(approval->approver);
    std::vector<std::vector<size_t>> may;
    std::vector<size_t> role_of;
    for (size_t role = 0; role < out_.roles.size(); ++role)
      for (int i = 0; i < out_.roles[role].count; ++i) {
        role_of.push_back(role);
        may.emplace_back();
        for (size_t person = 0; person < people.size(); ++person)
          if (word_of(people[person], out_.roles[role].role)) may.back().push_back(person);
      }
    const std::vector<size_t> filled = Seats(may).fill();
    for (size_t slot = 0; slot < filled.size(); ++slot) {
      if (filled[slot] == Seats::kNobody) continue;
      api::AwaitedApproval::Role& role = out_.roles[role_of[slot]];
      ++role.given;
      use(*word_of(people[filled[slot]], role.role));
    }
  }

  Ref<api::ModelApproval> word_of(const std::string& person, const std::string& role) const {
    for (const auto& approval : valid_)
      if (approval->approver == person && approval->role == role) return approval;
    return nullptr;
  }

  void use(const api::ModelApproval& a) {
    out_.used.push_back({a.role, a.approver, a.meta.key.name, a.meta.uid});
    const auto until = valid_until(a);
    if (until && (!out_.expires || *until < *out_.expires)) out_.expires = until;
  }

  const Question& q_;
  TimePoint now_;
  std::vector<Ref<api::ModelApproval>> valid_;
  Tally out_;
};

}  // namespace

std::string subject_of(const api::ModelRollout& rollout, const api::RolloutStatus& status) {
  Json policies = Json::array(), gates = Json::array();
  if (status.governance)
    for (const api::PolicyRef& policy : status.governance->policies)
      policies.push_back({{"name", policy.name}, {"uid", policy.uid}, {"generation", policy.generation}});
  for (const api::GateStatus& gate : status.gates)
    if (gate.verdict == "Passed")
      gates.push_back({{"name", gate.name}, {"value", gate.value}, {"stableValue", gate.stable_value}});
  const Json subject = {{"rollout", rollout.meta.uid},     {"model", rollout.model},
                        {"version", rollout.version},      {"digest", status.digest},
                        {"revision", status.revision ? status.revision->name : ""},
                        {"policies", std::move(policies)}, {"rolloutPolicy", status.policy ? sha256_of(status.policy->raw) : ""},
                        {"gates", std::move(gates)}};
  return sha256_of(subject.dump());
}

bool Tally::complete() const {
  return std::all_of(roles.begin(), roles.end(), [](const auto& role) { return role.given >= role.count; });
}

Tally tally(const Question& question, const std::vector<Ref<api::ModelApproval>>& approvals, TimePoint now,
            const std::set<std::string>* among) {
  return Count(question, now).run(approvals, among);
}

std::string missing(const Tally& tally) {
  std::string text;
  for (const auto& role : tally.roles)
    if (role.given < role.count)
      text += (text.empty() ? "" : " and ") + role.role + " (" + std::to_string(role.given) + " of " +
              std::to_string(role.count) + ")";
  return text;
}

}  // namespace mo::governance
