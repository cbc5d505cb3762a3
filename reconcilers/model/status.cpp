#include "reconcilers/model/status.h"

#include <algorithm>

#include "operator/api/statuses.h"
#include "reconcilers/audit/retention.h"
#include "reconcilers/audit/trail.h"
#include "reconcilers/common/conditions.h"
#include "reconcilers/common/side.h"
#include "reconcilers/governance/policies.h"
#include "reconcilers/model/revisions.h"
#include "reconcilers/monitors/monitors.h"
#include "reconcilers/rollout/advance.h"
#include "reconcilers/rollout/policy.h"
#include "reconcilers/serving/adopt.h"
#include "reconcilers/serving/config.h"
#include "reconcilers/serving/retired_route.h"
#include "reconcilers/serving/survey.h"

namespace mo::model {
namespace {

using serving::ServingState;

// One word on where the Model stands. `ready`, `reconciling` and `stalled` exclude each other.
struct Standing {
  enum class Is { Ready, Reconciling, Stalled } is = Is::Reconciling;
  std::string phase, reason, message;
};

Standing stalled(const std::string& phase, const std::string& reason, const std::string& message) {
  return {Standing::Is::Stalled, phase, reason, message};
}
Standing reconciling(const std::string& phase, const std::string& reason, const std::string& message) {
  return {Standing::Is::Reconciling, phase, reason, message};
}

class Status {
 public:
  Status(const Findings& f, TimePoint now)
      : f_(f),
        o_(f.observed),
        m_(*f.observed.model),
        now_(now),
        serving_(serving::survey(o_, f.stable_side, f.candidate_side, now)) {}

  Json render() {
    const Standing standing = this->standing();
    const bool serves = !stable().empty();
    api::ModelStatus shown = f_.status;
    shown.observed_generation = m_.meta.generation;
    shown.phase = standing.phase;
    shown.message = standing.message;
    shown.candidate_version = first();
    if (is_or_will_be(f_.rollout_name)) shown.rollout = f_.rollout_name;
    shown.traffic = traffic();
    shown.conditions = conditions(standing);
    if (!serves) {
      shown.stable_digest.clear();
      shown.stable_revision.reset();
      shown.previous.reset();
      if (shown.spec_version.empty()) shown.spec_revision.clear();
    }
    if (shown.spec_version.empty() && shown.spec_revision.empty()) shown.spec_generation = 0;
    Json out = api::to_json(shown);
    if (!m_.retraining && f_.status.retraining.run_number == 0) out.erase("retraining");  // numbers and requests are not used twice
    put_summaries(out, shown.traffic);
    return out;
  }

 private:
  const std::string& stable() const { return f_.status.stable_version; }
  // For people.
  std::string stable_text() const { return shown(f_.stable_side, f_.candidate_side); }
  std::string candidate_text() const { return shown(f_.candidate_side, f_.stable_side); }
  // A Model that serves something is degraded by what keeps it from its spec; one that never served is still
  // pending.
  std::string hurt() const { return stable().empty() ? "Pending" : "Degraded"; }

  // ---- where it stands: the first that applies ----

  Standing standing() const {
    if (retired()) return at_rest();
    if (f_.spec.problem_reason == "InvalidSpec") return stalled(hurt(), f_.spec.problem_reason, f_.spec.problem);
    if (f_.spec.problem_reason == "ResolvingTag") return reconciling(stable().empty() ? "Pending" : "Progressing", f_.spec.problem_reason, f_.spec.problem);
    if (!f_.spec.problem.empty()) return stalled(hurt(), f_.spec.problem_reason, f_.spec.problem);
    if (!f_.refused.empty()) return stalled(hurt(), "ApplyRefused", f_.refused);
    if (!f_.serve_problem.empty()) return stalled(hurt(), f_.serve_reason, f_.serve_problem);
    if (!serving_.route_problem.empty()) return stalled(hurt(), "RouteNotServed", serving_.route_problem);
    if (f_.waiting.stalled)
      return stalled(hurt(), f_.waiting.reason, f_.rollout_name + ": " + f_.waiting.message);
    if (f_.rollout) return rolling();
    if (!f_.retraining_problem.empty()) return stalled(hurt(), f_.retraining_reason, f_.retraining_problem);
    if (under_way(f_.status.intent) && !f_.status.intent.rollout.empty()) return about_to_roll();
    const std::string conflict = stable_conflict(o_, f_.status);
    if (!conflict.empty()) return stalled(hurt(), "VersionConflict", conflict);
    if (failed()) return after_failure();
    if (stable().empty()) return first_version();
    return serving();
  }

  bool retired() const { return f_.lifecycle && f_.lifecycle->retired; }
  Standing at_rest() const {
    const bool kept = serving::keeps_route(m_);
    if (!f_.refused.empty()) return stalled("Retired", "ApplyRefused", f_.refused);
    if (o_.routes.size() != size_t{kept} || !o_.deployments.empty() || serving::retire_route(o_))
      return reconciling("Retired", "Retiring", "retiring: deleting the Deployments, Services and routes that served");
    if (kept && !serving_.route_problem.empty()) return stalled("Retired", "RouteNotServed", serving_.route_problem);
    const std::string& successor = m_.lifecycle ? m_.lifecycle->successor : "";
    return {Standing::Is::Ready, "Retired", "Retired",
            "retired: no version serves" + (successor.empty() ? "" : "; its successor is Model " + successor) +
                ". To serve again, change spec.lifecycle.stage"};
  }

  Standing rolling() const {
    const std::string message =
        "ModelRollout " + f_.rollout_name + " to " + candidate_text() + ": " + f_.rollout->message;
    if (const auto& approval = f_.rollout->approval; approval && approval->reason != "AwaitingApproval")
      return stalled("Paused", approval->reason, message);
    if (f_.rollout->approval) return reconciling("Paused", f_.rollout->approval->reason, message);
    if (f_.rollout->phase == "Paused") return reconciling("Paused", "RolloutPaused", message);
    return reconciling("Progressing", "RolloutInProgress", message);
  }

  Standing about_to_roll() const {
    const api::Intent& i = f_.status.intent;
    return reconciling(stable().empty() ? "Pending" : "Progressing", "RolloutInProgress",
                       "ModelRollout " + i.rollout + " to " + i.version +
                           (f_.waiting.message.empty() ? " is starting" : ": " + f_.waiting.message));
  }

  bool failed() const {
    const api::Intent& i = f_.status.intent;
    if (!ended_badly(i) || i.outcome == "Superseded") return false;
    // Aborting is a person's word: nothing is wrong where the spec asks for what serves.
    const auto& serves = f_.status.stable_revision;
    const bool same_words = i.version != stable() || (serves && serves->asked == serving::asked_of(m_));
    const bool spec_agrees = (!f_.spec.name.empty() && f_.spec.name == stable()) || m_.track == "Promoted";
    return !intent_serves(f_.status) && !(i.outcome == "Aborted" && spec_agrees && same_words);
  }

  Standing after_failure() const {
    const api::Intent& i = f_.status.intent;
    const std::string reason = i.outcome == "RolledBack" ? "RolledBack"
                               : i.outcome == "Aborted"  ? "RolloutAborted"
                                                         : "RolloutFailed";
    const std::string serves = stable().empty() ? "no version serves" : stable() + " keeps serving";
    return stalled("Degraded", reason,
                   "the rollout of " + attempted() + " was " +
                       (i.outcome == "Aborted"      ? "aborted"
                        : i.outcome == "RolledBack" ? "rolled back"
                                                    : "stopped") +
                       ": " + i.message + "; " + serves + ". " + way_out());
  }

  std::string attempted() const {
    const api::Intent& i = f_.status.intent;
    const auto& stable = f_.status.stable_revision;
    return shown(i.version, i.revision, this->stable(), stable ? stable->name : "");
  }

  // What was stopped stays so until somebody asks for it by name, or for something else to serve.
  std::string way_out() const {
    const std::string retry = "kubectl model retry " + m_.meta.key.name;
    for (const auto& r : o_.rollouts)
      if (r->meta.key.name == f_.status.intent.rollout && !r->status.spec_hash.empty() && r->status.spec_hash != hash_of(m_.rollout.raw))
        return "spec.rollout has changed since; run " + retry + " to use it";
    return "Change the spec, or run " + retry + " to try again";
  }

  Standing first_version() const {
    const std::string& version = first();
    if (version.empty()) {
      if (m_.retraining)
        return reconciling("Pending", "AwaitingRetraining",
                           "waiting for retraining to produce the first version" + retraining_note());
      return stalled("Pending", "NoVersion",
                     "spec has neither version nor artifact, and no retraining that would produce a version; set one of them");
    }
    return deploying(version);
  }

  // The first version on its way, from the moment on that it is decided: said once, and not again when its
  // record or rollout is there.
  const std::string& first() const {
    const api::Intent& intent = f_.status.intent;
    const bool decided = stable().empty() && f_.candidate.empty() && f_.spec.problem.empty() &&
                         !f_.waiting.stalled && under_way(intent);
    return decided ? intent.version : f_.candidate;
  }

  std::string retraining_note() const {
    const std::string& last = f_.status.retraining.last_result;
    return last.empty() ? "" : "; last run: " + last;
  }

  std::string side(const std::string& version) const { return version == stable() ? f_.stable_side : f_.candidate_side; }

  Standing deploying(const std::string& version) const {
    const std::string side = this->side(version);
    const serving::Pods pods = serving::pods_of(o_, side);
    const std::string problem = serving::pods_problem(o_, side);
    const std::string message = version + ": " + std::to_string(pods.ready) + "/" +
                                std::to_string(m_.replicas) + " pods ready" +
                                (problem.empty() ? "" : ": " + problem) + adoption_note();
    for (const auto& p : o_.pods) {
      if (side_of(*p) != side || p->ready) continue;
      if (p->digest_mismatch) return stalled("Degraded", "DigestMismatch", message);
      if (p->bad_signature) return stalled("Degraded", "BadSignature", message);
    }
    for (const auto& [name, d] : o_.deployments)
      if (side_of(*d.object) == side && d.object->progressing_reason == "ProgressDeadlineExceeded" && !serving::settled(o_, side) && !may_take_longer(side))
        return stalled("Degraded", "ProgressDeadlineExceeded", message);
    const bool available = pods.ready > 0 || m_.replicas == 0;
    return reconciling(stable().empty() || available ? "Progressing" : "Degraded", "Deploying", message);
  }

  // A Deployment counts the time that weights take to come as time without progress.
  bool may_take_longer(const std::string& side) const {
    const serving::Fetching fetching = serving::fetching_of(o_, side);
    return fetching.since || (fetching.done && now_ < *fetching.done + m_.rollout.progress_deadline);
  }

  std::string adoption_note() const {
    const bool serves = m_.adopt && f_.status.adopted && f_.status.adopted->phase == "Serving" && !o_.services.count(m_.meta.key.name);
    return serves ? "; until then, Deployment " + *m_.adopt + " serves" : "";
  }

  bool overridden() const {
    const bool another = m_.track != "Promoted" && !f_.spec.name.empty() && f_.spec.name != stable();
    return another || other_template();
  }

  // Somebody went back to another template than the spec has, or to what served with it.
  bool other_template() const {
    const auto& serves = f_.status.stable_revision;
    return serves && serves->asked != serving::asked_of(m_) && !f_.status.intent.rollout.empty() && !serves_as_asked(o_, f_.status, stable());
  }

  Standing serving() const {
    const serving::Pods pods = serving::pods_of(o_, f_.stable_side);
    if (!serving::settled(o_, f_.stable_side) || pods.wanted != m_.replicas ||
        serving_.selected != ServingState::Selected::Stable)
      return deploying(stable());
    if (serving_.routed && !serving_.route_taken_up)
      return reconciling("Progressing", "Deploying",
                         "HTTPRoute " + m_.meta.key.name + " is waiting for its Gateway to accept it");
    if (serving_.routed && m_.replicas > 0 && !serving_.route_reaches)
      return reconciling("Progressing", "Deploying",
                         "Service " + m_.meta.key.name + " is waiting for EndpointSlices with the pods of " + stable());
    if (serving_.routed && m_.replicas > 0 && serving::answers_for_retired(o_))
      return reconciling("Progressing", "Deploying", "HTTPRoute " + m_.meta.key.name + " is being changed to route requests to " + stable() + " again");
    if (o_.rival)
      return stalled(hurt(), "HostnameTaken",
                     (o_.rival->hostname == "*" ? "requests for any hostname" : "requests for hostname " + o_.rival->hostname) + " on this Gateway go to Model " +
                         o_.rival->model.to_string() + ", whose HTTPRoute is older: set other spec.serving.route.hostnames or another listener, or remove the hostname from that Model");
    if (!f_.not_sticky.empty()) return stalled(hurt(), "SessionPersistenceRefused", f_.not_sticky);
    if (const std::string configmap = artifact_gone(); !configmap.empty())
      return stalled("Degraded", "ArtifactNotFound",
                     stable() + " serves, but ConfigMap " + configmap + ", which holds its artifact, does not exist any more: pods that restart will fail. Create it again with the same content, or roll out another version");
    if (overridden()) {
      const bool monitor = taken_back_by_monitor();
      return stalled("Degraded", monitor ? "RolledBack" : "Overridden",
                     stable() + " serves because of ModelRollout " + f_.status.intent.rollout +
                         (monitor ? ", made by a breached monitor (status.monitors, Events)" : "") + ", while the spec asks for " +
                         (f_.spec.name == stable() || f_.spec.name.empty() ? stable() + " with another template" : f_.spec.name) +
                         ": set spec.version to what serves, or to another version");
    }
    return {Standing::Is::Ready, "Ready", "Ready", stable() + " serves" + config_note() + autoscaler_note()};
  }

  bool taken_back_by_monitor() const {
    return std::any_of(o_.rollouts.begin(), o_.rollouts.end(), [&](const auto& r) {
      return r->meta.key.name == f_.status.intent.rollout && r->origin == "monitor";
    });
  }

  // The name of the ConfigMap without which the version that serves cannot start anew; empty if it is there, or there is none.
  std::string artifact_gone() const {
    const Ref<api::ModelVersion> record = o_.version(stable());
    return record ? serving::absent_configmap(o_, *record) : "";
  }

  std::string config_note() const {
    if (!m_.pin_config) return "";
    std::string changed;
    for (const auto& [source, copy] : serving::copies_of(o_, f_.stable_side)) {
      const auto now = o_.configmaps.find(source);
      const std::string version = now == o_.configmaps.end() ? "" : now->second;
      if (version != copy->copy->source_version) changed += (changed.empty() ? "" : ", ") + source;
    }
    return changed.empty() ? "" : "; ConfigMap " + changed + " has changed since; the next version uses the new content";
  }

  std::string autoscaler_note() const {
    const auto it = o_.autoscalers.find(m_.meta.key.name);
    if (!m_.autoscaling || it == o_.autoscalers.end() || it->second.object->problem.empty()) return "";
    return "; the HorizontalPodAutoscaler cannot scale it: " + it->second.object->problem;
  }

  // ---- parts ----

  // What serves people right now. It is taken over from the rollout once that weight is reached, not while it
  // is on the way.
  std::vector<api::TrafficShare> traffic() const {
    switch (serving_.selected) {
      case ServingState::Selected::Stable:
        return {{stable(), 100}};
      case ServingState::Selected::Candidate:
        if (stable().empty() && serving_.candidate.ready == 0) return {};
        return {{f_.candidate, 100}};
      case ServingState::Selected::Both:
        if (serving_.routed) return shares(serving_.route_weight);
        if (f_.rollout && serving_.at(f_.rollout->candidate_weight)) return shares(f_.rollout->candidate_weight);
        return m_.status.traffic.size() == 2 || !f_.rollout ? m_.status.traffic : shares(f_.rollout->candidate_weight);
      case ServingState::Selected::Nobody:
        return {};
    }
    return {};
  }

  std::vector<api::TrafficShare> shares(int candidate) const {
    const bool alike = stable() == f_.candidate;
    const auto name = [&](const std::string& side) { return alike ? revision_of(side) : ""; };
    return {{stable(), 100 - candidate, name(f_.stable_side)}, {f_.candidate, candidate, name(f_.candidate_side)}};
  }

  // Not while the version is missing that the spec's rollout is for: it may be set back before there was one.
  bool is_or_will_be(const std::string& rollout) const {
    const auto is_there = [&](const auto& r) { return r->meta.key.name == rollout; };
    return !rollout.empty() &&
           (f_.spec.problem.empty() || std::any_of(o_.rollouts.begin(), o_.rollouts.end(), is_there));
  }

  // ---- for people ----

  void put_summaries(Json& out, const std::vector<api::TrafficShare>& traffic) const {
    std::string summary;
    for (const api::TrafficShare& share : traffic) {
      const std::string side = side_of(share.version, share.revision);
      summary += (summary.empty() ? "" : " / ") + shown(side, side == f_.candidate_side ? f_.stable_side : f_.candidate_side) + " " +
                 std::to_string(share.weight) + "%";
    }
    if (serving_.route_rules.mirrored) summary += " / " + candidate_text() + " shadow";
    if (!serving_.route_rules.header_matches.empty()) summary += " / " + candidate_text() + " matched requests";
    out["trafficSummary"] = summary;
    put_pods(out);
  }

  void put_pods(Json& out) const {
    serving::Pods sum = serving::pods_of(o_, f_.stable_side);
    const bool candidate_serves =
        serving_.selected == ServingState::Selected::Both || serving_.selected == ServingState::Selected::Candidate;
    if (candidate_serves) {
      const serving::Pods more = serving::pods_of(o_, f_.candidate_side);
      sum.wanted = serving::plus(sum.wanted, more.wanted);
      sum.running = serving::plus(sum.running, more.running);
      sum.ready = serving::plus(sum.ready, more.ready);
    }
    const int wanted = retired() ? sum.wanted : std::max(sum.wanted, m_.replicas);
    out["replicas"] = sum.running;
    out["readyReplicas"] = sum.ready;
    // Pods that are on their way out may still be ready.
    out["ready"] = std::to_string(std::min(sum.ready, wanted)) + "/" + std::to_string(wanted);
    out["selector"] = std::string(api::kLabelModel) + "=" + m_.meta.key.name;
  }

  Verdict available() const {
    if (serving_.selected == ServingState::Selected::Nobody) return {false, "NoTraffic", "no version serves"};
    if (m_.replicas == 0) return {true, "ScaledToZero", "spec.serving.replicas is 0"};
    const bool stable_serves = serving_.selected != ServingState::Selected::Candidate;
    const bool candidate_serves = serving_.selected != ServingState::Selected::Stable;
    const int ready = (stable_serves ? serving::pods_of(o_, f_.stable_side).ready : 0) +
                      (candidate_serves ? serving::pods_of(o_, f_.candidate_side).ready : 0);
    if (ready == 0 && stable().empty()) return {false, "NoTraffic", "no version serves"};
    const int gap = std::max(m_.replicas / 4, m_.max_surge == 0 ? 1 : 0);
    const int needed = std::max(1, m_.replicas - gap);
    const std::string count =
        std::to_string(ready) + " of " + std::to_string(m_.replicas) + " pods are ready";
    return {ready >= needed, ready >= needed ? "Serving" : "TooFewReady", ready >= needed ? "" : count};
  }

  std::vector<api::Condition> conditions(const Standing& standing) const {
    using Is = Standing::Is;
    Conditions conditions(m_.status.conditions, m_.meta.generation, now_);
    conditions.set("Ready", {standing.is == Is::Ready, standing.reason, standing.message});
    conditions.set("Reconciling", {standing.is == Is::Reconciling, standing.reason,
                                   standing.is == Is::Reconciling ? standing.message : ""});
    conditions.set("Stalled", {standing.is == Is::Stalled, standing.reason,
                               standing.is == Is::Stalled ? standing.message : ""});
    conditions.set("Available", available());
    if (f_.lifecycle && f_.lifecycle->end_of_life) conditions.set("EndOfLife", *f_.lifecycle->end_of_life);
    if (!f_.runtime_outdated.empty()) conditions.set("RuntimeOutdated", {true, "WaitsForRollout", f_.runtime_outdated});
    if (!(f_.status.monitors.empty() && f_.monitors_reason.empty()) && !retired()) {
      const monitors::Health health = monitors::health_of(f_.status.monitors, f_.monitors_reason, f_.monitors_problem);
      conditions.set("Healthy", {health.healthy, health.reason, health.message});
    }
    if (const std::string why = audit::unsealed(o_, f_.status.audit); !why.empty())
      conditions.set("Audited", {false, "NotSealed", why});
    else if (!f_.retention_stopped.empty())
      conditions.set("Audited", {false, audit::kRetentionStopped, f_.retention_stopped});
    if (const auto compliant = governance::compliant(o_, f_.status, now_)) conditions.set("Compliant", *compliant);
    return conditions.get();
  }

  const Findings& f_;
  const Observed& o_;
  const api::Model& m_;
  TimePoint now_;
  ServingState serving_;
};

}  // namespace

Json render_status(const Findings& findings, TimePoint now) { return Status(findings, now).render(); }

}  // namespace mo::model
