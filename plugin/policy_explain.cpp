#include "plugin/policy_explain.h"

#include "operator/api/parse.h"
#include "plugin/fields.h"
#include "plugin/names.h"
#include "plugin/rollouts.h"
#include "reconcilers/governance/explain.h"
#include "reconcilers/governance/policies.h"

namespace mo::plugin {
namespace {

constexpr size_t kLargestSpec = 8u << 20;  // more than the API server stores

// Rules outside of the cluster that a policy helps to meet: "for EU AI Act: art. 9, art. 14; not covered: …".
std::vector<std::string> frameworks(const api::ModelPolicy& policy) {
  std::vector<std::string> lines;
  const auto spec = parse_json(policy.raw, kLargestSpec);
  if (!spec) return lines;
  for (const Json& framework : items(*spec, "frameworks")) {
    std::string line = "for " + text(framework, "name"), refs;
    for (const Json& ref : items(framework, "refs"))
      if (ref.is_string()) refs += (refs.empty() ? ": " : ", ") + ref.get<std::string>();
    const std::string missing = text(framework, "notCovered");
    lines.push_back(line + refs + (missing.empty() ? "" : "; not covered: " + missing));
  }
  return lines;
}

// What the operator would see, as far as policies look at it.
Result<Observed> look(Session& session, const Rollouts& rollouts) {
  Observed o;
  o.key = {session.ns, rollouts.name()};
  auto model = api::parse<api::Model>(rollouts.model.dump());
  if (!model) return fail(model.error());
  o.model = std::make_shared<const api::Model>(std::move(*model));
  for (const Json& object : rollouts.versions)
    if (auto version = api::parse<api::ModelVersion>(object.dump())) {
      auto ref = std::make_shared<const api::ModelVersion>(std::move(*version));
      o.named[ref->meta.key.name] = ref;
      o.versions.push_back(ref);
    }
  for (const Json& object : rollouts.all)
    if (auto rollout = api::parse<api::ModelRollout>(object.dump()))
      o.rollouts.push_back(std::make_shared<const api::ModelRollout>(std::move(*rollout)));
  auto policies = list_parsed<api::ModelPolicy>(session, Kind::ModelPolicy);
  if (!policies) return fail(policies.error());
  const auto ns = namespace_of(session);
  for (auto& policy : *policies)
    if (governance::applies(*policy, *o.model, ns.get()))
      o.policies.push_back(policy->namespace_selector && !ns ? governance::undecided(policy, session.ns, false) : std::move(policy));
  if (auto runtimes = list_parsed<api::ModelRuntime>(session, Kind::ModelRuntime))
    o.runtimes = std::move(*runtimes);  // else what they must be is left out
  return o;
}

}  // namespace

int explain_policies(Session& session, const std::string& named) {
  const auto model = name_as(Kind::Model, named);
  if (!model) return complain(session, model.error());
  const auto rollouts = read(session, *model);
  if (!rollouts) return complain(session, rollouts.error());
  const auto seen = look(session, *rollouts);
  if (!seen) return complain(session, seen.error());
  const auto say = [&](const std::string& line) { session.out << printable(line) << "\n"; };
  if (seen->policies.empty()) {
    say("no ModelPolicy applies to Model " + *model + " (riskTier " +
        (seen->model->about.risk_tier.empty() ? "not set" : seen->model->about.risk_tier) + ", class " +
        (seen->model->about.model_class.empty() ? "not set" : seen->model->about.model_class) + ", namespace " + session.ns +
        ")");
    return kDone;
  }
  for (const auto& policy : seen->policies) {
    for (const std::string& line : governance::demands(*policy, session.now())) say(line);
    for (const std::string& line : frameworks(*policy)) say("  " + line);
  }
  const std::string spec = seen->model->version.value_or(seen->model->status.spec_version);
  const std::string version = spec.empty() ? seen->model->status.stable_version : spec;
  size_t missing = 0;
  for (const auto& policy : seen->policies)
    if (!policy->problem.empty()) say("! ModelPolicy " + policy->meta.key.name + ": " + policy->problem);
  for (const auto& policy : seen->policies)
    for (const std::string& why : governance::objections(*seen, *policy, seen->version(version))) {
      if (missing++ == 0) say("missing, for " + (version.empty() ? "the Model" : version) + ":");
      say("  " + why + (policy->enforced ? "" : " (Warn only)"));
    }
  if (missing == 0) say("nothing is missing" + (version.empty() ? "" : " for " + version));
  return missing == 0 ? kDone : kNo;
}

}  // namespace mo::plugin
