#include "reconcilers/governance/explain.h"

#include <algorithm>

#include "reconcilers/governance/freeze.h"
#include "reconcilers/governance/policies.h"

namespace mo::governance {
namespace {

std::string in_words(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

class Explain {
 public:
  Explain(const api::ModelPolicy& p, TimePoint now) : p_(p), now_(now) {}

  std::vector<std::string> run() {
    out_.push_back("ModelPolicy " + p_.meta.key.name + (p_.enforced ? "" : " (Warn: shown only; rollouts do not wait)") +
                   " requires");
    gates();
    monitors();
    std::vector<std::string> strategies;
    for (const auto strategy : p_.strategies) strategies.push_back(word(strategy));
    say("strategies", in_words(strategies));
    say("first weight, at most", p_.max_first_weight ? std::to_string(*p_.max_first_weight) : "");
    say("bake, at least", p_.min_bake ? format_duration(*p_.min_bake) : "");
    say("mirrored requests before the first request (strategy Shadow), at least", p_.min_shadow ? format_duration(*p_.min_shadow) : "");
    say("required fields of the Model", in_words(p_.fields));
    say("required fields of a version's lineage", in_words(p_.lineage));
    say("artifacts from", in_words(p_.registries));
    say("runtimes", in_words(p_.runtimes));
    for (const api::ApprovalDemand& demand : p_.approvals)
      say(demand.before == api::kFullTraffic ? "approval before all traffic" : "approval before the first request",
          std::to_string(demand.count) + " of role " + demand.role);
    if (!p_.signed_by.empty()) say("artifacts signed by", p_.signed_by.size() == 1 ? "the policy's key" : "one of " + std::to_string(p_.signed_by.size()) + " keys");
    if (p_.separate_author) say("separation of duties", "the author of the change may not approve it");
    if (p_.separate_trainer) say("separation of duties", "the person who trained or registered the version may not approve it");
    say("evaluated again every", p_.max_age ? format_duration(*p_.max_age) : "");
    say("approvals valid for", p_.approval_valid_for ? format_duration(*p_.approval_valid_for) : "");
    say("ModelAudits, once exported, kept for", p_.keep_audits ? format_duration(*p_.keep_audits) : "");
    for (const api::FreezeWindow& window : p_.freeze) freeze(window);
    return std::move(out_);
  }

 private:
  void say(const std::string& what, const std::string& value) {
    if (!value.empty()) out_.push_back("  " + what + ": " + value);
  }

  // Gates that are a dry run are measured, and nothing hangs on what they say.
  void gates() {
    const auto among = [](const std::vector<std::string>& names, const std::string& name) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    std::vector<std::string> before, later, watched, dry;
    for (const api::Gate& gate : p_.gates) {
      const bool first = among(p_.before_traffic, gate.name);
      (gate.dry_run ? dry : first ? before : later).push_back(gate.name);
      if (!gate.dry_run && among(p_.background, gate.name)) watched.push_back(gate.name);
    }
    say("gates before the first request", in_words(before));
    say("gates before all traffic", in_words(later));
    say("gates measured in the background", in_words(watched));
    say("gates that are only measured (dryRun)", in_words(dry));
  }

  void monitors() {
    std::vector<std::string> names;
    for (const api::Monitor& monitor : p_.monitors) {
      std::string actions = "Alert";
      for (const auto& [does, word] : {std::pair(monitor.retrain, "Retrain"), std::pair(monitor.roll_back, "Rollback"), std::pair(monitor.hold, "Hold")})
        if (does && p_.enforced) actions += std::string(", ") + word;
      names.push_back(p_.meta.key.name + "/" + monitor.figure.name + " (" + actions + ")");
    }
    say("monitors in addition to those of the Model and its sets", in_words(names));
  }

  void freeze(const api::FreezeWindow& window) {
    const auto open = open_until(window, now_);
    if (!open) return say("freeze " + window.name, "cannot be read, so rollouts do not advance: " + open.error().message);
    if (*open) return say("freeze " + window.name, "now, until " + format_time(**open));
    const auto next = opens_next(window, now_);
    say("freeze " + window.name, next ? "next at " + format_time(*next) : "over");
  }

  const api::ModelPolicy& p_;
  TimePoint now_;
  std::vector<std::string> out_;
};

}  // namespace

std::vector<std::string> demands(const api::ModelPolicy& policy, TimePoint now) { return Explain(policy, now).run(); }

std::vector<std::string> demands(const Observed& observed, TimePoint now) {
  std::vector<std::string> all;
  for (const auto& policy : observed.policies)
    for (std::string& line : demands(*policy, now)) all.push_back(std::move(line));
  return all;
}

}  // namespace mo::governance
