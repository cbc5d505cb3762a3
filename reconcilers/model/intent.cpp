#include "reconcilers/model/intent.h"

#include <algorithm>

#include "operator/json/json.h"
#include "reconcilers/common/names.h"
#include "reconcilers/retraining/job.h"
#include "reconcilers/rollout/advance.h"
#include "reconcilers/serving/capacity.h"
#include "reconcilers/serving/render.h"

namespace mo::model {
namespace {

Json render_inline_version(const api::Model& model, const std::string& name) {
  Json version = serving::object_of(model, Kind::ModelVersion, name);
  Json format = {{"name", model.artifact->format.name}};
  if (!model.artifact->format.version.empty()) format["version"] = model.artifact->format.version;
  version["spec"] = {
      {"modelRef", {{"name", model.meta.key.name}}},
      {"artifact",
       {{"uri", model.artifact->uri}, {"digest", model.artifact->digest}, {"format", std::move(format)}}}};
  return version;
}

// What makes another try of a version that failed worthwhile: all that shapes its pods and its way, but not
// the number of replicas.
std::string revision_of(const api::Model& m, const std::string& version) {
  Json parts = {version, m.runtime.value_or(""), m.template_overlay, m.rollout.raw};
  if (m.artifact) parts.push_back(m.artifact->uri);
  return hash_of(parts.dump());
}

std::string check_owner(const api::ModelVersion& version, const std::string& model) {
  if (version.model == model) return "";
  return "ModelVersion " + version.meta.key.name + " belongs to Model " + version.model + ", not to " + model;
}

class Decide {
 public:
  Decide(const Observed& o, const SpecVersion& spec, const rollout::Policy& policy, TimePoint now)
      : o_(o), m_(*o.model), spec_(spec), policy_(policy), now_(now) {
    out_.status = m_.status;
  }

  Decided run() {
    learn_outcome();
    take_spec();
    make_spec_rollout();
    for (const auto& rollout : o_.rollouts)
      if (!rollout::is_over(rollout->status.phase) && !rollout->meta.deleting) live_.push_back(rollout);
    std::sort(live_.begin(), live_.end(), [](const auto& a, const auto& b) {
      return std::tie(a->meta.created, a->meta.key.name) < std::tie(b->meta.created, b->meta.key.name);
    });
    take_newest_waiting();
    for (const auto& rollout : live_) place(*rollout, rollout);
    return std::move(out_);
  }

 private:
  api::ModelStatus& s() { return out_.status; }
  api::Intent& intent() { return out_.status.intent; }

  Ref<api::ModelRollout> rollout(const std::string& name) const {
    for (const auto& r : o_.rollouts)
      if (r->meta.key.name == name && !r->meta.deleting) return r;
    return nullptr;
  }

  // Of the rollout that the intent names only as long as it asks for the same: names are free again once
  // their object is deleted.
  Ref<api::ModelRollout> carrier() const {
    const auto r = rollout(out_.status.intent.rollout);
    return r && r->version == out_.status.intent.version ? r : nullptr;
  }

  void close_intent(const std::string& outcome, const std::string& reason, const std::string& message) {
    intent().outcome = outcome;
    intent().reason = reason;
    intent().message = message;
  }

  // The rollout that carries the intent is over although the Model doesn't know, or was deleted by somebody.
  void learn_outcome() {
    // Deleting the failed rollout of a person or a training run is how its failure is put aside; the spec's
    // stays until the spec changes.
    if (!intent().rollout.empty() && !carrier() && ended_badly(intent()) && intent().origin != "Spec") put_aside();
    if (intent().rollout.empty() || !under_way(intent())) return;
    const auto r = carrier();
    if (!r && intent().origin != "Spec") {
      close_intent("Aborted", "RolloutDeleted", "ModelRollout " + intent().rollout + " was deleted");
      intent().since = now_;
    }
    if (!r || !rollout::is_over(r->status.phase)) return;
    if (r->status.phase == "Succeeded") s().stable_version = r->version;
    close_intent(r->status.phase, r->status.ending ? r->status.ending->reason : r->status.phase,
                 r->status.message);
  }

  void put_aside() {
    if (!s().stable_version.empty()) {
      intent() = api::Intent{s().stable_version, intent().origin, "", "Succeeded", "", "", now_};
      return;
    }
    // Nothing serves, so it is the spec's turn again: under the name that its rollout had, so that one which failed
    // is not tried again.
    intent() = {};
    if (!spec_.name.empty() && spec_.name == s().spec_version) wish_for_spec_version();
  }

  void wish_for_spec_version() {
    intent() = api::Intent{s().spec_version, "Spec", "", "", "", "", now_};
    if (s().spec_version == s().stable_version) return close_intent("Succeeded", "", "");
    if (!s().stable_version.empty() || first_version_has_gates(policy_))
      intent().rollout = spec_rollout_name(m_.meta.key.name, s().spec_version, s().spec_generation);
  }

  void take_spec() {
    if (spec_.name.empty() || spec_.reason == "InvalidSpec") return;
    const std::string revision = revision_of(m_, spec_.name);
    const bool another = spec_.name != s().spec_version;
    const bool mended = spec_failed(m_, spec_.name, s()) && revision != s().spec_revision;
    if (!another && !mended) {
      // Edits while nothing of the spec's is on its way or failed mend nothing: a failure that comes later
      // isn't put right by them.
      if (!ended_badly(intent()) && !(under_way(intent()) && intent().origin == "Spec"))
        s().spec_revision = revision;
      return;
    }
    s().spec_version = spec_.name;
    s().spec_revision = revision;
    s().spec_generation = m_.meta.generation;
    wish_for_spec_version();
  }

  void make_spec_rollout() {
    const api::Intent& i = intent();
    if (i.origin != "Spec" || !under_way(i) || i.rollout.empty() || !spec_.problem.empty() ||
        !o_.version(i.version))
      return;
    if (rollout(i.rollout)) return;
    for (const auto& r : o_.rollouts)
      if (r->meta.key.name == i.rollout) return;  // being deleted: made again once it is gone
    const std::string body = retraining::render_rollout(m_, i.rollout, i.version, "spec").dump();
    out_.actions.push_back(Apply{
        {Kind::ModelRollout, {o_.key.ns, i.rollout}}, body, "", hash_of(body), "spec asks for " + i.version});
  }

  // ---- those that wait ----

  bool older_than_intent(const api::ModelRollout& r) const {
    const api::Intent& i = out_.status.intent;
    return i.origin == "Spec" && i.since &&
           r.meta.created < std::chrono::floor<std::chrono::seconds>(*i.since);
  }

  std::string cannot_start(const api::ModelRollout& r) const {
    if (!r.problem.empty()) return r.problem;
    const auto version = o_.version(r.version);
    if (!version)
      return "ModelVersion " + r.version + " does not exist: create it, or delete this ModelRollout";
    return check_owner(*version, o_.key.name);
  }

  // One that bears the name of a rollout that failed, but is younger than that, was made anew to try again.
  bool carries_intent(const api::ModelRollout& r) const {
    const api::Intent& i = out_.status.intent;
    const bool younger = i.reason == "RolloutDeleted" || (i.since && r.meta.created > *i.since);
    const bool anew = ended_badly(i) && !r.status.started && younger;
    return r.meta.key.name == i.rollout && r.version == i.version && !anew;
  }

  bool waits(const api::ModelRollout& r) const {
    return !r.status.started && !carries_intent(r) && r.desired_state != "Aborted" && r.origin != "spec" &&
           !older_than_intent(r);
  }

  bool busy() const {
    const api::Intent& i = out_.status.intent;
    if (!under_way(i)) return traffic_going_back();
    // A first version that never got ready, or a version that is missing, holds nobody up.
    return !i.rollout.empty() && (carrier() || (i.origin == "Spec" && spec_.problem.empty()));
  }

  // A rollout that was superseded while it had traffic still gives it back.
  bool traffic_going_back() const {
    return std::any_of(live_.begin(), live_.end(),
                       [](const auto& r) { return r->status.started.has_value(); });
  }

  void take_newest_waiting() {
    Ref<api::ModelRollout> newest;
    for (const auto& r : live_)
      if (waits(*r) && cannot_start(*r).empty()) newest = r;
    if (!newest) return;
    const bool back_to_stable = newest->version == s().stable_version;
    if (back_to_stable && under_way(intent()) && !intent().rollout.empty()) {
      // Going back to what is stable while another rollout runs ends that one at once.
      intent() = api::Intent{newest->version, "Rollout", newest->meta.key.name, "Succeeded", "", "", now_};
      close(*newest, "Succeeded", "Succeeded",
            newest->version + " serves on; the rollout under way is ended");
      return;
    }
    if (back_to_stable) return;  // closed by place()
    if (busy()) return;
    intent() = api::Intent{newest->version,
                           newest->origin == "retraining" ? "Retraining" : "Rollout",
                           newest->meta.key.name,
                           "",
                           "",
                           "",
                           now_};
  }

  // The Model knows already how this one ended: we crashed before its own status said so.
  bool outcome_known(const api::ModelRollout& r) const {
    const api::Intent& i = out_.status.intent;
    return carries_intent(r) && !under_way(i) &&
           (i.outcome != "Succeeded" || r.version == out_.status.stable_version);
  }

  void record_outcome(const api::ModelRollout& r) {
    const api::Intent& i = out_.status.intent;
    const bool succeeded = i.outcome == "Succeeded";
    api::RolloutStatus status = r.status;
    status.phase = i.outcome;
    status.message = i.message;
    status.finished = now_;
    status.paused_at.reset();
    status.pause_reason.clear();
    if (succeeded) status.step_index = status.step_count;
    status.candidate_weight = succeeded ? 100 : 0;
    status.stable_weight = succeeded || status.from_version.empty() ? 0 : 100;
    if (!succeeded && !status.ending) status.ending = api::Ending{i.outcome, i.reason, i.message, now_};
    out_.closed[r.meta.key.name] = std::move(status);
  }

  void close(const api::ModelRollout& r, const std::string& phase, const std::string& reason,
             const std::string& message) {
    api::RolloutStatus status = r.status;
    status.phase = phase;
    status.message = message;
    status.finished = now_;
    status.ending = api::Ending{phase, reason, message, now_};
    out_.closed[r.meta.key.name] = std::move(status);
  }

  // Says what becomes of one live rollout now that the intent stands.
  void place(const api::ModelRollout& r, const Ref<api::ModelRollout>& ptr) {
    const std::string& name = r.meta.key.name;
    if (out_.closed.count(name)) return;
    if (outcome_known(r)) return record_outcome(r);
    if (carries_intent(r) && under_way(intent())) return place_active(r, ptr);
    if (r.status.started) {
      out_.superseded[name] =
          "superseded by " + (intent().origin == "Spec" ? "the spec, which asks for " + intent().version
                                                        : "ModelRollout " + intent().rollout);
      if (!out_.active) out_.active = ptr;  // it may give its traffic back; nobody else starts before
      return;
    }
    if (r.desired_state == "Aborted")
      return close(r, "Aborted", "Aborted", "aborted by desiredState before it started");
    if (!waits(r))
      return close(r, "Superseded", "Superseded", "the spec asks for " + intent().version + " since");
    const std::string problem = cannot_start(r);
    if (!problem.empty()) {
      out_.waiting[name] = {o_.version(r.version) ? "VersionOfAnotherModel" : "VersionNotFound", problem,
                            true};
    } else if (r.version == s().stable_version && !under_way(intent())) {
      close(r, "Failed", "AlreadyServing", r.version + " serves already: there is nothing to roll out");
    } else if (newer_waits(r)) {
      close(r, "Superseded", "Superseded", "a newer ModelRollout asks for another version");
    } else {
      out_.waiting[name] = {"WaitingForRollout", "waits for ModelRollout " + whom(), false};
    }
  }

  std::string whom() const {
    for (const auto& r : live_)
      if (r->status.started || r->meta.key.name == out_.status.intent.rollout)
        return r->meta.key.name + " (" + r->status.phase + ") to end";
    return out_.status.intent.rollout + " to end";
  }

  // Of several that wait the newest is the intent; of two that wait while one runs, too.
  bool newer_waits(const api::ModelRollout& r) const {
    const auto self = std::find_if(live_.begin(), live_.end(),
                                   [&](const auto& l) { return l->meta.key.name == r.meta.key.name; });
    return std::any_of(std::next(self), live_.end(), [&](const auto& l) {
      // Times are whole seconds: what began in the same one is not known to be newer.
      const bool runs = l->meta.key.name == out_.status.intent.rollout &&
                        out_.status.intent.origin != "Spec" && l->meta.created > r.meta.created;
      return runs || (waits(*l) && cannot_start(*l).empty());
    });
  }

  void place_active(const api::ModelRollout& r, const Ref<api::ModelRollout>& ptr) {
    if (!r.status.started) {
      const std::string going_back = whose_traffic_goes_back(r);
      if (!going_back.empty()) {
        out_.waiting[r.meta.key.name] = {
            "WaitingForRollout", "waits for ModelRollout " + going_back + " to give its traffic back", false};
        return;
      }
      const std::string problem = cannot_start(r);
      if (!problem.empty()) {
        out_.waiting[r.meta.key.name] = {o_.version(r.version) ? "VersionOfAnotherModel" : "VersionNotFound",
                                         problem, true};
        return;
      }
      const bool skips_steps = r.desired_state == "Aborted" || r.desired_state == "Promoted";
      if (!policy_.rollouts.reason.empty() && !skips_steps) {
        out_.waiting[r.meta.key.name] = policy_.rollouts;
        return;
      }
      const std::string too_small = s().stable_version.empty() ? "" : weight_too_small(m_);
      if (!too_small.empty() && !skips_steps) {
        out_.waiting[r.meta.key.name] = {"WeightTooSmall", too_small, true};
        return;
      }
    }
    out_.active = ptr;
  }

  std::string whose_traffic_goes_back(const api::ModelRollout& but) const {
    for (const auto& r : live_)
      if (r->status.started && r->meta.key.name != but.meta.key.name) return r->meta.key.name;
    return "";
  }

  const Observed& o_;
  const api::Model& m_;
  const SpecVersion& spec_;
  const rollout::Policy& policy_;
  TimePoint now_;
  std::vector<Ref<api::ModelRollout>> live_;
  Decided out_;
};

}  // namespace

bool under_way(const api::Intent& intent) { return !intent.version.empty() && intent.outcome.empty(); }

bool ended_badly(const api::Intent& intent) {
  return !intent.outcome.empty() && intent.outcome != "Succeeded";
}

bool spec_failed(const api::Model& model, const std::string& spec_version, const api::ModelStatus& status) {
  if (!ended_badly(status.intent) || spec_version.empty() || spec_version == status.stable_version) return false;
  return model.track != "Promoted" || status.intent.version == spec_version;
}

bool first_version_has_gates(const rollout::Policy& policy) {
  if (!policy.rollouts.reason.empty()) return true;
  for (const api::Step& step : policy.policy->steps)
    for (const std::string& name : step.gates) {
      const api::Gate* gate = policy.policy->gate(name);
      if (gate && (gate->version_metric || gate->job)) return true;
    }
  return false;
}

std::string weight_too_small(const api::Model& m) {
  // An autoscaler may go down to the least that it was given while a rollout is under way.
  const int replicas = m.autoscaling ? std::min(m.replicas, m.autoscaling->min) : m.replicas;
  if (replicas == 0 || m.route) return "";
  const int smallest = m.max_surge ? serving::smallest_weight_within(serving::plus(replicas, *m.max_surge), replicas)
                                   : serving::smallest_weight(replicas);
  for (const api::Step& step : m.rollout.steps)
    if (step.weight && *step.weight < smallest)
      return "weight " + std::to_string(*step.weight) + " cannot be kept with " +
             std::to_string(replicas) + " replicas" +
             (m.max_surge ? " and maxSurge " + std::to_string(*m.max_surge) : "") +
             ", since replicas are the weight: raise spec.serving." +
             (m.autoscaling ? "autoscaling.minReplicas" : "replicas") +
             (m.max_surge ? " or spec.serving.maxSurge" : "") + ", or the weight to at least " +
             std::to_string(smallest);
  return "";
}

SpecVersion resolve_spec(const Observed& o) {
  const api::Model& m = *o.model;
  SpecVersion out;
  if (!m.problem.empty()) {
    out.name = m.status.spec_version;
    out.reason = "InvalidSpec";
    out.problem = m.problem;
    return out;
  }
  if (!m.version && !m.artifact) return out;
  out.name = m.version ? *m.version : version_name_for(m.meta.key.name, m.artifact->digest);
  const Ref<api::ModelVersion> record = o.version(out.name);
  if (record) {
    out.problem = check_owner(*record, m.meta.key.name);
    if (!out.problem.empty()) out.reason = "VersionOfAnotherModel";
    // The record of an inline artifact that was mended before it ever served: the same bits, from elsewhere. One that a run
    // registered knows how good they are and where they came from, and stays.
    const bool ours = m.artifact && record->meta.controller_uid == m.meta.uid && !record->meta.deleting &&
                      record->phase != "Candidate" && record->metrics.empty() && record->parent.empty();
    if (ours && !(record->artifact == *m.artifact) && out.name != m.status.stable_version)
      out.actions.push_back(Delete{{Kind::ModelVersion, record->meta.key},
                                   record->meta.uid,
                                   "spec.artifact has changed; registered anew"});
    return out;
  }
  if (m.version) {
    out.reason = "VersionNotFound";
    out.problem = "ModelVersion " + out.name + " does not exist in namespace " + o.key.ns +
                  ": create it, or change spec.version";
    return out;
  }
  const std::string body = render_inline_version(m, out.name).dump();
  out.actions.push_back(Apply{
      {Kind::ModelVersion, {o.key.ns, out.name}}, body, "", hash_of(body), "register the inline artifact"});
  return out;
}

Decided decide_intent(const Observed& observed, const SpecVersion& spec, const rollout::Policy& policy,
                      TimePoint now) {
  return Decide(observed, spec, policy, now).run();
}

}  // namespace mo::model
