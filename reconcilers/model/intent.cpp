#include "reconcilers/model/intent.h"

#include <algorithm>

#include "operator/api/statuses.h"
#include "operator/json/json.h"
#include "reconcilers/common/names.h"
#include "reconcilers/common/revision.h"
#include "reconcilers/governance/authors.h"
#include "reconcilers/governance/policies.h"
#include "reconcilers/model/revisions.h"
#include "reconcilers/rollout/advance.h"
#include "reconcilers/serving/capacity.h"
#include "reconcilers/serving/render.h"
#include "reconcilers/training/job.h"

namespace mo::model {
namespace {

// What the spec wants to serve, and so what makes another try of a version that failed worthwhile. How it gets there (steps, gates,
// deadlines, replicas) is no part of it.
constexpr const char* kRevision = "2-";  // the version before counted spec.rollout in, without this
std::string words_of(const api::Model& m, const std::string& version) {
  Json parts = {version, m.runtime.value_or(""), m.template_overlay};
  if (!m.pin_config) parts.push_back("unpinned");
  if (m.image_volumes) parts.push_back(*m.image_volumes ? "image volumes" : "fetch");
  if (m.artifact) parts.insert(parts.end(), {m.artifact->uri, m.artifact->format.name, m.artifact->format.version});
  if (m.artifact && !m.artifact->size.empty()) parts.push_back("size " + m.artifact->size);
  if (m.artifact && !m.artifact->secret.empty()) parts.push_back("credentials " + m.artifact->secret);
  if (m.artifact && m.artifact->unpack) parts.push_back("unpack");
  if (m.artifact && !m.artifact->signature_uri.empty()) parts.push_back("signature " + m.artifact->signature_uri + " " + m.artifact->public_key);
  if (!m.parts.empty()) parts.push_back(to_json(m.parts));
  return kRevision + hash_of(parts.dump());
}

class Decide {
 public:
  Decide(const Observed& o, const SpecVersion& spec, const rollout::Policy& policy, TimePoint now)
      : o_(o), m_(*o.model), spec_(spec), policy_(policy), now_(now) {
    out_.status = m_.status;
  }

  Decided run() {
    if (!s().stable_version.empty() && !s().stable_revision) s().stable_revision = taken_over(o_, s().stable_version);
    governance::note_author(m_, s());
    see_rollout();
    learn_outcome();
    take_spec();
    make_spec_rollout();
    for (const auto& rollout : o_.rollouts)
      if (!rollout::is_over(rollout->status.phase) && !rollout->meta.deleting) live_.push_back(rollout);
    std::sort(live_.begin(), live_.end(), [](const auto& a, const auto& b) {
      return std::tie(a->meta.created, a->meta.key.name) < std::tie(b->meta.created, b->meta.key.name);
    });
    take_newest_waiting();
    see_rollout();
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

  // Of the rollout that the intent names only as long as it is that one: names are free again once their object is deleted.
  Ref<api::ModelRollout> carrier() const {
    const api::Intent& i = out_.status.intent;
    const auto r = rollout(i.rollout);
    return r && r->version == i.version && (i.rollout_uid.empty() || r->meta.uid == i.rollout_uid) ? r : nullptr;
  }

  // On record before it runs: a rollout that is not there any more was deleted, one that was never seen is yet to be made.
  void see_rollout() {
    if (!under_way(intent()) || intent().rollout.empty() || !intent().rollout_uid.empty()) return;
    if (const auto r = carrier()) intent().rollout_uid = r->meta.uid;
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
    if (!r && (intent().origin != "Spec" || !intent().rollout_uid.empty())) {
      close_intent("Aborted", "RolloutDeleted", "ModelRollout " + intent().rollout + " was deleted, so it is aborted");
      intent().since = now_;
      out_.events.push_back({{Kind::Model, o_.key}, m_.meta.uid, true, "RolloutDeleted", intent().message});
    }
    if (!r || !rollout::is_over(r->status.phase)) return;
    if (r->status.phase == "Succeeded") {
      const bool known = s().stable_version == r->version && (!r->status.revision || same(s().stable_revision, r->status.revision));
      if (!known)
        take_over(s(), r->version, r->status.digest, r->status.revision ? *r->status.revision : taken_over(o_, r->version), !r->revision.empty());
    }
    if (r->status.revision) intent().revision = r->status.revision->name;
    close_intent(r->status.phase, r->status.ending ? r->status.ending->reason : r->status.phase,
                 r->status.message);
  }

  void put_aside() {
    const bool aborted = intent().reason == "RolloutDeleted";  // by its deletion, which puts nothing aside besides
    if (!s().stable_version.empty() && aborted) return;
    // The spec asks for the very version that was stopped.
    if (s().stable_version.empty() && aborted && intent().version == spec_.name) return;
    if (!s().stable_version.empty()) {
      intent() = api::Intent{s().stable_version, intent().origin, "", "Succeeded", "", "", now_};
      return;
    }
    // Nothing serves, so it is the spec's turn again: under the name that its rollout had, so that one which failed
    // is not tried again.
    intent() = {};
    if (!spec_.name.empty() && spec_.name == s().spec_version) wish_for(s().spec_version);
  }

  void wish_for(const std::string& version) {
    intent() = api::Intent{version, "Spec", "", "", "", "", now_};
    if (version == s().stable_version && !asks_for_another_template(version)) return close_intent("Succeeded", "", "");
    if (!s().stable_version.empty() || first_version_has_gates(policy_))
      intent().rollout = spec_rollout_name(m_.meta.key.name, version, s().spec_generation);
  }

  // Of the version that serves. What the ModelRuntime says otherwise since waits for a rollout that others ask for.
  bool asks_for_another_template(const std::string& version) const {
    const auto& stable = out_.status.stable_revision;
    return stable && stable->asked != serving::asked_of(m_) && !serves_as_asked(o_, out_.status, version);
  }

  void take_spec() {
    // While its tag has no digest the spec says nothing yet.
    if (spec_.problem_reason == "InvalidSpec" || spec_.problem_reason == "ResolvingTag" || spec_.problem_reason == "TagNotResolved") return;
    const std::string words = words_of(m_, spec_.name);
    const bool another = !spec_.name.empty() && spec_.name != s().spec_version;
    const bool known = s().spec_revision.starts_with(kRevision);
    if (!another && known && words != s().spec_revision) return take_words(words);
    if (!another) {
      if (!known) s().spec_revision = words;
      return;
    }
    s().spec_version = spec_.name;
    wish_anew(spec_.name, words);
  }

  void wish_anew(const std::string& version, const std::string& words) {
    s().spec_revision = words;
    s().spec_generation = m_.meta.generation;
    wish_for(version);
  }

  // The spec asks for the same version with other words: with another template, mostly.
  void take_words(const std::string& words) {
    const std::string version = spec_speaks_of();
    const api::Intent& i = intent();
    const bool of_intent = i.version == version && under_way(i);
    const auto r = carrier();
    // A first version without a rollout, and one whose rollout has yet to begin, take what the spec says then.
    if (version.empty() || (of_intent && (!r || !r->status.revision))) {
      s().spec_revision = words;
      return;
    }
    const auto asked = asked_revision(o_, version);
    if (!asked && o_.version(version)) return;  // it cannot be used; status says why
    const bool brought = of_intent && asked && r->status.revision->name == *asked;
    const bool serves = version == s().stable_version && !asks_for_another_template(version);
    if (brought || (serves && !under_way(i) && !(ended_badly(i) && i.version == version))) {
      s().spec_revision = words;
      return;
    }
    wish_anew(version, words);
  }

  // With track Promoted, or no version at all, the spec says how versions serve and no more than where to begin.
  std::string spec_speaks_of() const {
    const api::ModelStatus& s = out_.status;
    const bool failed = ended_badly(s.intent) && s.intent.version == spec_.name && s.intent.version != s.stable_version;
    const bool pinned = !spec_.name.empty() && (m_.track != "Promoted" || failed);
    return pinned || s.stable_version.empty() ? spec_.name : s.stable_version;
  }

  void make_spec_rollout() {
    const api::Intent& i = intent();
    if (i.origin != "Spec" || !under_way(i) || i.rollout.empty() || !spec_.problem.empty() ||
        !o_.version(i.version))
      return;
    if (rollout(i.rollout)) return;
    for (const auto& r : o_.rollouts)
      if (r->meta.key.name == i.rollout) return;  // being deleted: made again once it is gone
    const std::string body = training::render_rollout(m_, i.rollout, i.version, "spec").dump();
    out_.actions.push_back(Apply{
        {Kind::ModelRollout, {o_.key.ns, i.rollout}}, body, "", hash_of(body), "spec asks for " + i.version});
    const api::Intent& recorded = m_.status.intent;
    out_.rollout_first = !(under_way(recorded) && recorded.rollout == i.rollout && recorded.version == i.version);
  }

  // ---- those that wait ----

  bool older_than_intent(const api::ModelRollout& r) const {
    const api::Intent& i = out_.status.intent;
    return i.origin == "Spec" && i.reason != "RolloutDeleted" && i.since &&
           r.meta.created < std::chrono::floor<std::chrono::seconds>(*i.since);
  }

  // No reason: it can.
  rollout::Waiting cannot_start(const api::ModelRollout& r) const {
    if (!r.problem.empty()) return {"InvalidSpec", r.problem, true};
    const auto version = o_.version(r.version);
    if (!version)
      return {"VersionNotFound", "ModelVersion " + r.version + " does not exist: create it or delete this ModelRollout", true};
    const std::string foreign = check_owner(*version, o_.key.name);
    if (!foreign.empty()) return {"VersionOfAnotherModel", foreign, true};
    if (!r.revision.empty() && !on_record(out_.status, r.version, r.revision) && !serves_as_asked(o_, out_.status, r))
      return {"RevisionNotFound", "revision " + r.revision + " of " + r.version + " is not listed in status.previous of the Model: name one that is, or leave out spec.revision to use the current Model and ModelRuntime", true};
    const std::string was = promoted_digest(r.version);
    if (!was.empty() && was != version->bits())
      return {"VersionConflict", made_anew(*version, was) + ": register the new artifact under another name and roll that out", true};
    return {};
  }

  // Of what served under this name, as far as anybody knows.
  std::string promoted_digest(const std::string& version) const {
    if (version == out_.status.stable_version) return out_.status.stable_digest;
    for (const auto& r : o_.rollouts) {
      if (r->status.phase != "Succeeded") continue;
      if (r->version == version && !r->status.digest.empty()) return r->status.digest;
      if (r->status.from_version == version && !r->status.from_digest.empty()) return r->status.from_digest;
    }
    return "";
  }

  // One that bears the name of a rollout that failed, but is another object, was made anew to try again.
  bool carries_intent(const api::ModelRollout& r) const {
    const api::Intent& i = out_.status.intent;
    // The version before did not write down the UID.
    const bool younger = i.reason == "RolloutDeleted" || (i.since && r.meta.created > *i.since);
    const bool anew = i.rollout_uid.empty() ? ended_badly(i) && !r.status.started && younger : r.meta.uid != i.rollout_uid;
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
      if (waits(*r) && cannot_start(*r).reason.empty()) newest = r;
    if (!newest) return;
    const bool back_to_stable = newest->version == s().stable_version;
    if (back_to_stable && under_way(intent()) && !intent().rollout.empty() && intent().version != newest->version) {
      // Going back to what is stable while another rollout runs ends that one at once.
      intent() = api::Intent{newest->version, "Rollout", newest->meta.key.name, "Succeeded", "", "", now_};
      close(*newest, "Succeeded", "Succeeded",
            newest->version + " keeps serving; the rollout in progress is ended");
      return;
    }
    if (back_to_stable && !under_way(intent()) && serves_as_asked(o_, s(), *newest)) return;  // closed by place()
    // A way back does not wait for what is under way: it supersedes it.
    if (busy() && newest->origin != "monitor") return;
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
    status.waiting_since.reset();
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
          "superseded by " + (intent().origin == "Spec" ? "the Model's spec, which now asks for " + intent().version
                                                        : "ModelRollout " + intent().rollout);
      if (!out_.active) out_.active = ptr;  // it may give its traffic back; nobody else starts before
      return;
    }
    if (r.desired_state == "Aborted")
      return close(r, "Aborted", "Aborted", "desiredState Aborted was set before the rollout started");
    if (!waits(r))
      return close(r, "Superseded", "Superseded", "the Model's spec now asks for " + intent().version);
    if (const rollout::Waiting problem = cannot_start(r); !problem.reason.empty()) {
      out_.waiting[name] = problem;
    } else if (r.version == s().stable_version && !under_way(intent()) && serves_as_asked(o_, s(), r)) {
      close(r, "Failed", "AlreadyServing", r.version + " already serves: nothing to roll out");
    } else if (newer_waits(r)) {
      close(r, "Superseded", "Superseded", "a newer ModelRollout asks for another version");
    } else {
      out_.waiting[name] = {"WaitingForRollout", "waiting for ModelRollout " + whom(), false};
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
      return runs || (waits(*l) && cannot_start(*l).reason.empty());
    });
  }

  void place_active(const api::ModelRollout& r, const Ref<api::ModelRollout>& ptr) {
    if (!r.status.started) {
      const std::string going_back = whose_traffic_goes_back(r);
      if (!going_back.empty()) {
        out_.waiting[r.meta.key.name] = {
            "WaitingForRollout", "waiting for ModelRollout " + going_back + " to return its traffic", false};
        return;
      }
      if (const rollout::Waiting problem = cannot_start(r); !problem.reason.empty()) {
        out_.waiting[r.meta.key.name] = problem;
        return;
      }
      const bool skips_steps = r.desired_state == "Aborted" || r.desired_state == "Promoted";
      const bool required = policy_.required_unknown && r.desired_state != "Aborted";
      if (!policy_.rollouts.reason.empty() && (required || !skips_steps)) {
        out_.waiting[r.meta.key.name] = policy_.rollouts;
        return;
      }
      if (const governance::Held held = governance::holds(o_, r, to_bring(r), now_); !held.waiting.reason.empty()) {
        out_.waiting[r.meta.key.name] = held.waiting;
        out_.look_again = held.until;
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

  // What a rollout that has not begun would bring.
  std::string to_bring(const api::ModelRollout& r) const {
    return r.revision.empty() ? asked_revision(o_, r.version).value_or("") : r.revision;
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

std::string made_anew(const api::ModelVersion& version, const std::string& digest) {
  return "ModelVersion " + version.meta.key.name + " was deleted and recreated with digest " + version.bits() + ", but " +
         digest + " was served under that name";
}

std::string stable_conflict(const Observed& o, const api::ModelStatus& status) {
  const auto record = o.version(status.stable_version);
  if (!record || status.stable_digest.empty() || record->bits() == status.stable_digest) return "";
  return made_anew(*record, status.stable_digest) +
         ": its pods stay unchanged. Register the new artifact under another name and set spec.version to it, or restore the ModelVersion as it was";
}

bool intent_serves(const api::ModelStatus& status) {
  const api::Intent& intent = status.intent;
  return intent.version == status.stable_version &&
         (intent.revision.empty() || !status.stable_revision || intent.revision == status.stable_revision->name);
}

bool first_version_has_gates(const rollout::Policy& policy) {
  if (!policy.rollouts.reason.empty() || policy.governance) return true;
  for (const api::Gate& gate : policy.policy->gates)
    if (gate.required && (gate.version_metric || gate.job)) return true;
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
      return "weight " + std::to_string(*step.weight) + " is not possible with " +
             std::to_string(replicas) + " replicas" +
             (m.max_surge ? " and maxSurge " + std::to_string(*m.max_surge) : "") +
             ", because without a route the replica counts make the weight: raise spec.serving." +
             (m.autoscaling ? "autoscaling.minReplicas" : "replicas") +
             (m.max_surge ? " or spec.serving.maxSurge" : "") + ", or the weight to at least " +
             std::to_string(smallest);
  return "";
}

Decided decide_intent(const Observed& observed, const SpecVersion& spec, const rollout::Policy& policy,
                      TimePoint now) {
  return Decide(observed, spec, policy, now).run();
}

}  // namespace mo::model
