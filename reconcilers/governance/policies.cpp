#include "reconcilers/governance/policies.h"

#include <algorithm>
#include <map>
#include <utility>

#include "operator/core/text.h"
#include "reconcilers/common/rollback_targets.h"
#include "reconcilers/governance/freeze.h"
#include "operator/core/pattern.h"
#include "reconcilers/serving/render.h"

namespace mo::governance {

const char* word(api::RolloutPolicy::Strategy strategy) {
  switch (strategy) {
    case api::RolloutPolicy::Strategy::BlueGreen:
      return "BlueGreen";
    case api::RolloutPolicy::Strategy::Shadow:
      return "Shadow";
    case api::RolloutPolicy::Strategy::Recreate:
      return "Recreate";
    case api::RolloutPolicy::Strategy::Canary:
      break;
  }
  return "Canary";
}

namespace {

constexpr size_t kMessageKept = 4096;  // bytes
constexpr Duration kNotice = std::chrono::hours(30 * 24);
constexpr const char* kEvaluationDue = "EvaluationDue";

template <class T>
bool among(const std::vector<T>& list, const T& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

std::string listed(const std::vector<std::string>& words, const char* last = " or ") {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) text += (i == 0 ? "" : i + 1 == words.size() ? last : ", ") + words[i];
  return text;
}

// What one policy finds wrong with one Model and version, in the order of the fields of spec.require.
class Review {
 public:
  Review(const Observed& o, const api::ModelPolicy& p, const Ref<api::ModelVersion>& version)
      : o_(o), m_(*o.model), p_(p), version_(version) {}

  std::vector<std::string> run() {
    strategy();
    shadow();
    first_weight();
    fields();
    if (version_) {
      lineage();
      registry();
      runtime();
      signature();
    }
    return std::move(found_);
  }

 private:
  void object(const std::string& what) { found_.push_back(what + " (ModelPolicy " + p_.meta.key.name + ")"); }

  void strategy() {
    if (p_.strategies.empty() || among(p_.strategies, m_.rollout.strategy)) return;
    std::vector<std::string> words;
    for (const auto strategy : p_.strategies) words.push_back(word(strategy));
    object("spec.rollout.strategy is " + std::string(word(m_.rollout.strategy)) + ", but must be " + listed(words));
  }

  // Copies are what strategy Shadow makes, and for how long is the rollout's affair.
  void shadow() {
    if (!p_.min_shadow || m_.rollout.strategy == api::RolloutPolicy::Strategy::Shadow) return;
    object("spec.rollout.strategy is " + std::string(word(m_.rollout.strategy)) + ", but must be Shadow, because candidates must get mirrored requests for " +
           format_duration(*p_.min_shadow) + " before their first request");
  }

  void first_weight() {
    if (!p_.max_first_weight) return;
    int first = 100;
    for (const api::Step& step : m_.rollout.steps)
      if (step.weight) {
        first = *step.weight;
        break;
      }
    if (first <= *p_.max_first_weight) return;
    object("spec.rollout.steps start with weight " + std::to_string(first) + ", but the first weight may be at most " +
           std::to_string(*p_.max_first_weight));
  }

  void fields() {
    for (const std::string& field : p_.fields)
      if (!says(field)) object("spec." + field + " is required");
  }

  bool says(const std::string& field) const {
    static const std::map<std::string, bool api::About::*> kSaid = {
        {"description", &api::About::description},
        {"owner.team", &api::About::team},
        {"owner.contact", &api::About::contact},
        {"card.intendedUse", &api::About::intended_use},
        {"card.outOfScope", &api::About::out_of_scope},
        {"card.limitations", &api::About::limitations},
        {"card.ethicalConsiderations", &api::About::ethical_considerations},
        {"card.businessOwner", &api::About::business_owner},
        {"card.businessValue", &api::About::business_value}};
    if (field == "class") return !m_.about.model_class.empty();
    if (field == "riskTier") return !m_.about.risk_tier.empty();
    const auto known = kSaid.find(field);
    return known != kSaid.end() && m_.about.*known->second;
  }

  void lineage() {
    for (const std::string& field : p_.lineage)
      if (!knows(field))
        object("spec.lineage." + field + " of ModelVersion " + version_->meta.key.name + " is required" +
               (field == "data.digest" ? " of each data set" : ""));
  }

  bool knows(const std::string& field) const {
    const api::LineageFacts& facts = version_->lineage;
    if (field == "code.repository") return facts.code_repository;
    if (field == "code.revision") return facts.code_revision;
    if (field == "data.digest") return facts.data_sets > 0 && facts.data_digests == facts.data_sets;
    if (field == "environment.image") return facts.image;
    if (field == "run.name") return facts.run;
    return field == "parent" && !version_->parent.empty();
  }

  void registry() {
    if (p_.registries.empty()) return;
    each_artifact([&](const api::Artifact& artifact, const std::string& field) {
      for (const std::string& pattern : p_.registries)
        if (matches(pattern, artifact.uri)) return;
      object(field + ".uri of ModelVersion " + version_->meta.key.name + " is " + redact_uri(artifact.uri) + ", but must match " +
             listed(p_.registries));
    });
  }

  void runtime() {
    if (p_.runtimes.empty()) return;
    const auto chosen = serving::choose_runtime(m_, version_->artifact.format, o_.runtimes);
    if (!chosen || among(p_.runtimes, (*chosen)->meta.key.name)) return;  // without a runtime there are no pods either
    object("ModelRuntime " + (*chosen)->meta.key.name + " would be used for ModelVersion " + version_->meta.key.name +
           ", but it must be " + listed(p_.runtimes));
  }

  // That it holds is checked on the node, before anything of it is served.
  void signature() {
    if (p_.signed_by.empty()) return;
    each_artifact([&](const api::Artifact& artifact, const std::string& field) {
      const auto same = [&](const std::string& key) { return without_blanks(key) == without_blanks(artifact.public_key); };
      if (!artifact.signature_uri.empty() && std::any_of(p_.signed_by.begin(), p_.signed_by.end(), same)) return;
      object(field + ".signature of ModelVersion " + version_->meta.key.name + " is " +
             (artifact.signature_uri.empty() ? "required" : "by another key") + ", and must be by " +
             (p_.signed_by.size() == 1 ? "the key" : "one of the " + std::to_string(p_.signed_by.size()) + " keys") + " of require.signedBy");
    });
  }

  // What serves is all of it: an adapter from elsewhere would be a way around.
  template <class F>
  void each_artifact(const F& check) const {
    check(version_->artifact, "spec.artifact");
    for (const api::Part& part : version_->parts) check(part.artifact, "spec.parts[" + part.name + "].artifact");
  }

  static std::string without_blanks(std::string text) {
    std::erase_if(text, [](unsigned char c) { return std::isspace(c); });
    return text;
  }

  const Observed& o_;
  const api::Model& m_;
  const api::ModelPolicy& p_;
  const Ref<api::ModelVersion>& version_;
  std::vector<std::string> found_;
};

bool list_matches(const std::vector<std::string>& list, const std::string& value) { return list.empty() || among(list, value); }

std::string joined(const std::vector<std::string>& sentences) {
  std::string text;
  for (const std::string& one : sentences) text += (text.empty() ? "" : "; ") + one;
  return whole_characters(text, kMessageKept);
}

// The first two policies that define a gate of one name differently.
std::string conflict(const Observed& o) {
  for (auto a = o.policies.begin(); a != o.policies.end(); ++a)
    for (const api::Gate& gate : (*a)->gates)
      for (auto b = std::next(a); b != o.policies.end(); ++b) {
        const api::Gate* other = (*a)->enforced && (*b)->enforced ? (*b)->gate(gate.name) : nullptr;
        if (other && !(*other == gate))
          return "ModelPolicies " + (*a)->meta.key.name + " and " + (*b)->meta.key.name + " define gate " + gate.name +
                 " differently: give one of them another name";
      }
  return "";
}

}  // namespace

Ref<api::ModelPolicy> undecided(const Ref<api::ModelPolicy>& policy, const std::string& ns, bool denied) {
  auto told = std::make_shared<api::ModelPolicy>(*policy);
  told->problem = denied ? "spec.appliesTo.namespaceSelector needs the labels of Namespaces, and this operator may not watch them: give its ServiceAccount get, list "
                           "and watch on namespaces by a ClusterRole, or name namespaces in spec.appliesTo.namespaces"
                         : "spec.appliesTo.namespaceSelector needs the labels of Namespace " + ns + ", which the operator has not read yet";
  return told;
}

bool applies(const api::ModelPolicy& policy, const api::Model& model, const api::Namespace* ns) {
  if (policy.namespace_selector && ns && !policy.namespace_selector->matches(ns->labels)) return false;
  if (!list_matches(policy.risk_tiers, model.about.risk_tier) || !list_matches(policy.classes, model.about.model_class))
    return false;
  return policy.namespaces.empty() ||
         std::any_of(policy.namespaces.begin(), policy.namespaces.end(),
                     [&](const std::string& pattern) { return matches(pattern, model.meta.key.ns); });
}

std::vector<std::string> objections(const Observed& observed, const api::ModelPolicy& policy,
                                    const Ref<api::ModelVersion>& version) {
  return Review(observed, policy, version).run();
}

Held holds(const Observed& observed, const api::ModelRollout& rollout, const std::string& revision, TimePoint now) {
  if (observed.policies.empty() || rollout.desired_state == "Aborted") return {};
  if (rollout.desired_state == "Promoted" && served_before(observed.rollouts, rollout, revision)) return {};
  std::vector<std::string> all;
  for (const auto& policy : observed.policies) {
    if (!policy->enforced) continue;
    if (!policy->problem.empty())
      return {{"InvalidPolicy", "ModelPolicy " + policy->meta.key.name + ": " + policy->problem, true}, {}};
    for (std::string& one : objections(observed, *policy, observed.version(rollout.version))) all.push_back(std::move(one));
  }
  if (const std::string both = conflict(observed); !both.empty()) all.push_back(both);
  // What is approved has to be known from the start: a template that can be made only later was nobody's word.
  const bool enforced = std::any_of(observed.policies.begin(), observed.policies.end(), [](const auto& policy) { return policy->enforced; });
  if (enforced && revision.empty())
    all.push_back("no pod template can be rendered for ModelVersion " + rollout.version + ": correct spec.serving.template or spec.serving.runtime");
  if (!all.empty()) return {{"PolicyUnsatisfied", joined(all), true}, {}};
  const Freeze freeze = freeze_of(observed.policies, now);
  if (freeze.why.empty()) return {};
  if (!freeze.problem.empty()) return {{"InvalidPolicy", freeze.why, true}, {}};
  return {{"Frozen", freeze.why, false}, freeze.until};
}

namespace {

std::optional<TimePoint> too_old_at(const Observed& observed, const api::ModelPolicy& policy, const api::ModelStatus& status) {
  const auto version = policy.max_age && !status.stable_version.empty() ? observed.version(status.stable_version) : nullptr;
  if (!version) return {};
  return (version->evaluation ? version->evaluation->at : version->meta.created) + *policy.max_age;
}

// So long before it is told: a month, and no more than a quarter of the time.
Duration notice_of(const api::ModelPolicy& policy) { return std::min<Duration>(kNotice, *policy.max_age / 4); }

struct Due {
  std::string policy;
  TimePoint at{};
};

// The first of those that are soon.
std::optional<Due> evaluation_due(const Observed& observed, const api::ModelStatus& status, TimePoint now) {
  std::optional<Due> due;
  for (const auto& policy : observed.policies)
    if (const auto at = too_old_at(observed, *policy, status); at && now < *at && *at - notice_of(*policy) <= now && (!due || *at < due->at))
      due = {policy->meta.key.name, *at};
  return due;
}

std::string sentence(const Due& due, const std::string& version) {
  return "ModelVersion " + version + " must be evaluated again by " + format_time(due.at) + ": train or evaluate it (ModelPolicy " + due.policy + ")";
}

}  // namespace

std::optional<TimePoint> too_old_next(const Observed& observed, const api::ModelStatus& status, TimePoint now) {
  std::optional<TimePoint> next;
  for (const auto& policy : observed.policies) {
    const auto at = too_old_at(observed, *policy, status);
    if (!at) continue;
    for (const TimePoint moment : {*at, *at - notice_of(*policy)})
      if (moment > now && (!next || moment < *next)) next = moment;
  }
  return next;
}

std::optional<Event> evaluation_notice(const Observed& observed, const api::ModelStatus& status, TimePoint now) {
  const auto due = evaluation_due(observed, status, now);
  if (!due) return {};
  for (const api::Condition& condition : observed.model->status.conditions)
    if (condition.type == "Compliant" && (condition.reason == kEvaluationDue || condition.status != "True")) return {};
  return Event{{Kind::Model, observed.key}, observed.model->meta.uid, true, kEvaluationDue, sentence(*due, status.stable_version)};
}

std::optional<Verdict> compliant(const Observed& observed, const api::ModelStatus& status, TimePoint now) {
  if (observed.policies.empty()) return {};
  const std::string& name = status.stable_version.empty() ? status.intent.version : status.stable_version;
  std::vector<std::string> all, names;
  for (const auto& policy : observed.policies) {
    names.push_back(policy->meta.key.name);
    if (!policy->problem.empty()) all.push_back("ModelPolicy " + policy->meta.key.name + ": " + policy->problem);
    for (std::string& one : objections(observed, *policy, observed.version(name))) all.push_back(std::move(one));
    if (const auto at = too_old_at(observed, *policy, status); at && *at <= now)
      all.push_back("ModelVersion " + name + " must be evaluated every " + format_duration(*policy->max_age) + ", and was last evaluated at " +
                    format_time(*at - *policy->max_age) + ": train or evaluate it again (ModelPolicy " + policy->meta.key.name + ")");
  }
  const std::string policies = "ModelPolicy " + listed(names, " and ");
  if (const auto due = evaluation_due(observed, status, now); due && all.empty())
    return Verdict{true, kEvaluationDue, whole_characters("meets " + policies + "; " + sentence(*due, name), kMessageKept)};
  if (all.empty()) return Verdict{true, "Compliant", whole_characters("meets " + policies, kMessageKept)};
  return Verdict{false, "NotCompliant", joined(all)};
}

}  // namespace mo::governance
