#include "report/read.h"

#include <algorithm>

#include "operator/core/text.h"
#include "operator/json/fields.h"

namespace mo::report {
namespace {

using fields::items;
using fields::number;
using fields::text;
using fields::time_of;

constexpr size_t kMessageKept = 600, kGatesKept = 60, kMetricsKept = 100, kDataKept = 20, kPoliciesKept = 20;

std::string brief(const Json& object, const char* path) {
  std::string message = text(object, path);
  if (message.size() > kMessageKept) message = whole_characters(message, kMessageKept) + " …";
  return message;
}

std::map<std::string, std::string> texts(const Json& object, const char* path) {
  std::map<std::string, std::string> all;
  const Json* found = fields::field(object, path);
  if (!found || !found->is_object()) return all;
  for (const auto& [name, value] : found->items()) {
    if (all.size() == kMetricsKept) break;
    all[name] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  return all;
}

std::string label(const Json& object, const std::string& name) {
  const Json* labels = fields::field(object, "metadata.labels");
  return labels && labels->is_object() && labels->contains(name) && (*labels)[name].is_string() ? (*labels)[name].get<std::string>() : "";
}

std::string bounds(const Json& figure) {
  const std::string min = text(figure, "min"), max = text(figure, "max");
  if (!min.empty() || !max.empty()) return range(min, max);
  const std::string regression = text(figure, "versusStable.maxRegression");
  return regression.empty() ? "" : "at most " + regression + " worse than the version before";
}

// What all kinds have.
template <class T>
T read_identity(const Json& object) {
  T t;
  t.ns = text(object, "metadata.namespace");
  t.name = text(object, "metadata.name");
  t.created = time_of(object, "metadata.creationTimestamp");
  return t;
}
// What belongs to a Model.
template <class T>
T read_owned(const Json& object) {
  T t = read_identity<T>(object);
  t.model = text(object, "spec.modelRef.name");
  return t;
}

std::vector<Monitor> read_monitors(const Json& model) {
  std::vector<Monitor> monitors;
  for (const Json& spec : items(model, "spec.monitors")) {
    Monitor m{text(spec, "name"), text(spec, "about"), "", "", text(spec, "min"), text(spec, "max"), "", {}, {}};
    for (const Json& status : items(model, "status.monitors")) {
      if (text(status, "name") != m.name) continue;
      if (!text(status, "set").empty()) m.min = m.max = "";  // a set requires another one of that name
      m.state = text(status, "state");
      m.value = text(status, "value");
      m.message = brief(status, "message");
      m.since = time_of(status, "since");
      m.checked = time_of(status, "lastChecked");
    }
    monitors.push_back(std::move(m));
  }
  const auto is_told = [&](const std::string& name) { return std::any_of(monitors.begin(), monitors.end(), [&](const Monitor& m) { return m.name == name; }); };
  for (const Json& status : items(model, "status.monitors"))  // of ModelPolicies and gate sets
    if (!is_told(text(status, "name")) && !(text(status, "policy").empty() && text(status, "set").empty()))
      monitors.push_back({text(status, "name"), "", text(status, "state"), text(status, "value"), "", "", brief(status, "message"),
                          time_of(status, "since"), time_of(status, "lastChecked")});
  return monitors;
}

}  // namespace

Model read_model(const Json& object) {
  Model m = read_identity<Model>(object);
  m.team = text(object, "spec.owner.team");
  m.contact = text(object, "spec.owner.contact");
  m.model_class = text(object, "spec.class");
  m.tier = text(object, "spec.riskTier");
  m.description = brief(object, "spec.description");
  m.stage = text(object, "status.lifecycle.stage");
  if (m.stage.empty()) m.stage = text(object, "spec.lifecycle.stage");
  m.phase = text(object, "status.phase");
  m.message = brief(object, "status.message");
  m.traffic = text(object, "status.trafficSummary");
  m.ready = text(object, "status.ready");
  m.version = text(object, "status.stableVersion");
  m.candidate = text(object, "status.candidateVersion");
  m.rollout = text(object, "status.rollout");
  m.adopts = text(object, "spec.serving.adopt.name");
  m.digest = text(object, "status.stableDigest");
  m.deprecate_at = time_of(object, "spec.lifecycle.deprecateAt");
  m.retire_at = time_of(object, "spec.lifecycle.retireAt");
  m.review_by = time_of(object, "spec.lifecycle.reviewBy");
  m.successor = text(object, "spec.lifecycle.successor");
  m.last_training = brief(object, "status.retraining.lastResult");
  m.card = texts(object, "spec.card");
  for (const Json& condition : items(object, "status.conditions")) {
    if (text(condition, "type") != "Compliant") continue;
    m.compliant = text(condition, "status");
    m.compliance = brief(condition, "message");
  }
  m.monitors = read_monitors(object);
  return m;
}

Version read_version(const Json& object) {
  Version v = read_owned<Version>(object);
  v.phase = text(object, "status.phase");
  v.digest = text(object, "spec.artifact.digest");
  v.format = text(object, "spec.artifact.format.name");
  v.parent = text(object, "spec.lineage.parent");
  v.run_kind = text(object, "spec.lineage.run.kind");
  v.run = text(object, "spec.lineage.run.name");
  v.repository = text(object, "spec.lineage.code.repository");
  v.revision = text(object, "spec.lineage.code.revision");
  v.image = text(object, "spec.lineage.environment.image");
  for (const Json& data : items(object, "spec.lineage.data"))
    if (v.data.size() < kDataKept) v.data.emplace_back(text(data, "name"), text(data, "digest"));
  for (const Json& part : items(object, "spec.parts"))
    if (v.parts.size() < kDataKept) v.parts.emplace_back(text(part, "name"), text(part, "artifact.digest"));
  const bool anew = fields::field(object, "status.evaluation.metrics") != nullptr;
  v.metrics = texts(object, anew ? "status.evaluation.metrics" : "spec.metrics");
  v.evaluated = time_of(object, "status.evaluation.at");
  if (!v.evaluated && !v.metrics.empty()) v.evaluated = v.created;  // they were recorded with it
  const Json* served = fields::field(object, "status.served");
  v.served = (served && served->is_boolean() && served->get<bool>()) || v.phase == "Serving" || v.phase == "Superseded" || v.phase == "Retired";
  return v;
}

Rollout read_rollout(const Json& object) {
  Rollout r = read_owned<Rollout>(object);
  r.to = text(object, "spec.version");
  r.from = text(object, "status.fromVersion");
  r.phase = text(object, "status.phase");
  r.message = brief(object, "status.message");
  r.reason = text(object, "status.ending.reason");
  r.origin = label(object, "modelops.dev/origin");
  r.started = time_of(object, "status.startedAt");
  r.finished = time_of(object, "status.finishedAt");
  r.decided = time_of(object, "status.ending.at");
  r.awaits = text(object, "status.approval.reason");
  for (const Json& policy : items(object, "status.governance.policies"))
    if (r.policies.size() < kPoliciesKept) r.policies.push_back(text(policy, "name"));
  r.weight = static_cast<int>(number(object, "status.weights.candidate"));
  r.step = static_cast<int>(number(object, "status.step.index"));
  r.steps = static_cast<int>(number(object, "status.step.count"));
  for (const Json& gate : items(object, "status.gates")) {
    if (r.gates.size() == kGatesKept) break;
    Gate g{text(gate, "name"), text(gate, "verdict"), text(gate, "value"), "", brief(gate, "message")};
    for (const Json& spec : items(object, "status.policy.gates"))
      if (text(spec, "name") == g.name) {
        g.bound = bounds(spec);
        g.min = text(spec, "min");
        g.max = text(spec, "max");
      }
    r.gates.push_back(std::move(g));
  }
  return r;
}

Run read_run(const Json& object) {
  Run r = read_owned<Run>(object);
  r.trigger = text(object, "spec.trigger.name");
  if (r.trigger.empty()) r.trigger = text(object, "spec.trigger.kind");
  r.phase = text(object, "status.phase");
  r.version = text(object, "status.version");
  r.message = brief(object, "status.message");
  r.finished = time_of(object, "status.finishedAt");
  for (const Json& stage : items(object, "status.stages")) {
    r.stage = text(stage, "name");
    if (const auto finished = time_of(stage, "finishedAt"); finished && (!r.finished || *finished > *r.finished)) r.finished = finished;
  }
  return r;
}

Approval read_approval(const Json& object) {
  return {text(object, "metadata.namespace"), text(object, "spec.rolloutRef.name"), text(object, "spec.role"),  text(object, "spec.decision"),
          text(object, "spec.approver"),      brief(object, "spec.reason"),         brief(object, "spec.ticket"), time_of(object, "metadata.creationTimestamp")};
}

}  // namespace mo::report
