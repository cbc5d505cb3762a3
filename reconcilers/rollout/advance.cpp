#include "reconcilers/rollout/advance.h"

#include <algorithm>
#include <utility>

#include "reconcilers/common/revision.h"
#include "reconcilers/rollout/steps.h"
#include "reconcilers/rollout/rollout_advance.h"

namespace mo::rollout {
namespace {

// So much may the clocks of two leaders differ without anybody minding; more than whole_second() rounds.
constexpr Duration kSkew = std::chrono::seconds(5);

}  // namespace

Advanced RolloutAdvance::run() {
  if (!s().started) start();
  mend_record();
  mend_clock();
  s().approval.reset();
  if (already_stable()) {
    succeed();
    announce_needs();
    return std::move(out_);
  }
  decide_ending();
  if (s().ending) {
    end();
  } else {
    steer();
    if (!s().paused_at) {
      walk();
      if (!waits_) s().waiting_since.reset();
    }
    if (s().ending) end();  // just decided: begin the way back in the same breath
  }
  announce_needs();
  return std::move(out_);
}

// A status that somebody else wrote may lack a part of what start() put there.
void RolloutAdvance::mend_record() {
  if (!s().policy) take_snapshot();
  if (!s().step_started) s().step_started = whole_second(now_);
  if (s().digest.empty()) s().digest = in_.digest;
  if (!s().revision) s().revision = in_.revision;
  if (!s().from_revision && in_.stable == s().from_version) s().from_revision = in_.stable_revision;
  // The version before knew people's words by the generation alone.
  if (s().observed_state.empty()) s().observed_state = in_.rollout.meta.generation > s().step_generation ? "Paused" : state();
  // The version before did not write it down; chosen callers come after the shadow.
  if (s().mirroring_since && !s().mirrored_since && !serving_.route_rules.header_matches.empty()) s().mirrored_since = s().mirroring_since;
  s().step_count = count();
  s().step_index = std::clamp(s().step_index, 1, count() + 1);
  serving_.candidate_replicas = candidate_replicas();
}

// A leader whose clock was ahead of ours began this step, or this pause, in what is our future: it begins
// now instead, or it would last until then.
void RolloutAdvance::mend_clock() {
  if (s().step_started && *s().step_started > now_ + kSkew) s().step_started = whole_second(now_);
  if (s().mirrored_since && *s().mirrored_since > now_ + kSkew) s().mirrored_since = whole_second(now_);
  if (s().baking_since && *s().baking_since > now_ + kSkew) s().baking_since = whole_second(now_);
  if (s().waiting_since && *s().waiting_since > now_ + kSkew) s().waiting_since = whole_second(now_);
  if (s().paused_at && *s().paused_at > now_ + kSkew) s().paused_at = now_;
}

void RolloutAdvance::event(const std::string& reason, const std::string& note, bool warning) {
  out_.events.push_back(
      {{Kind::ModelRollout, in_.rollout.meta.key}, in_.rollout.meta.uid, warning, reason, note});
}

void RolloutAdvance::look_again(TimePoint at) {
  out_.look_again_at(at);
}

void RolloutAdvance::take_snapshot() {
  s().policy = in_.policy;
  s().cluster_gates = in_.policy.cluster_gates;
  if (!s().governance) s().governance = in_.governance;
}

void RolloutAdvance::start() {
  s().started = now_;
  take_snapshot();
  s().from_version = in_.stable;
  s().digest = in_.digest;
  s().from_digest = in_.stable_digest;
  s().revision = in_.revision;
  s().from_revision = in_.stable_revision;
  s().spec_hash = in_.spec_hash;
  s().step_count = count();
  s().stable_weight = first() ? 0 : 100;
  s().candidate_weight = 0;
  s().phase = "Progressing";
  enter(1);
  event("RolloutStarted",
        first() ? "First version " + to() : "From " + from() + " to " + to());
}

// What people have said up to here is said of what was before.
void RolloutAdvance::note_word() {
  s().step_generation = in_.rollout.meta.generation;
  s().observed_state = state();
  if (in_.rollout.resume_requested_at) s().observed_resume = in_.rollout.resume_requested_at;
}

void RolloutAdvance::enter(int index) {
  s().step_index = index;
  s().step_started = whole_second(now_);
  s().waiting_since.reset();
  note_word();
  serving_.candidate_replicas = candidate_replicas();
  watch_again(index);
  if (at_final()) return;
  forget_gates(step().gates);  // what an earlier step measured is measured anew
}

// ---- ends ----

void RolloutAdvance::decide_ending() {
  if (s().ending) return;
  if (in_.rollout.desired_state == "Aborted")
    decide("Aborted", "Aborted", "desiredState Aborted was set at " + where());
  else if (!in_.superseded_by.empty())
    decide("Superseded", "Superseded", in_.superseded_by);
  else if (!in_.digest.empty() && in_.digest != s().digest)
    decide(first() ? "Failed" : "RolledBack", "VersionConflict",
           "ModelVersion " + candidate() + " was deleted and recreated with digest " + in_.digest + ", but the rollout began with " +
               s().digest + "; register the new artifact under another name");
}

void RolloutAdvance::decide(const std::string& phase, const std::string& reason, const std::string& message) {
  s().ending = api::Ending{phase, reason, message, now_};
  event(reason, message, phase != "Superseded");
}

// Back to stable, then over. Traffic first: the phase says so only when stable has it all again.
void RolloutAdvance::end() {
  clear_pause();
  const serving::ServingState& g = serving_;
  const bool back = first() || g.selected == serving::ServingState::Selected::Stable ||
                    g.selected == serving::ServingState::Selected::Nobody;
  if (!back || !recorded()) {
    out_.target.draining = !first();
    s().phase = "Progressing";
    s().message = "returning traffic to " + from() + ": " + s().ending->message;
    look_again(std::max(s().ending->at + kDrainLimit, now_ + Duration(1000)));
    return;
  }
  s().stable_weight = first() ? 0 : 100;
  s().candidate_weight = 0;
  finish(s().ending->phase, s().ending->message);
}

void RolloutAdvance::finish(const std::string& phase, const std::string& message) {
  s().phase = phase;
  s().message = message;
  s().finished = now_;
  s().waiting_since.reset();
  out_.asks.clear();
  out_.jobs.clear();
  out_.measuring.clear();
}

// The Model took the version as its stable one, and then we crashed.
bool RolloutAdvance::already_stable() {
  if (in_.stable.empty() || in_.stable != candidate()) return false;
  return in_.stable != s().from_version || (same(in_.stable_revision, s().revision) && !same(s().from_revision, s().revision));
}

void RolloutAdvance::succeed() {
  if (!recorded()) {
    s().message = "complete: " + to() + " serves all traffic";
    return;
  }
  s().stable_weight = 0;
  s().candidate_weight = 100;
  s().step_index = count();
  clear_pause();
  finish("Succeeded", to() + " serves all traffic");
  event("RolloutSucceeded", to() + " serves all traffic");
}

void RolloutAdvance::fail(const std::string& reason, const std::string& message) {
  if (policy().on_failure == api::RolloutPolicy::OnFailure::Pause) {
    pause(reason, message);
  } else {
    decide(first() ? "Failed" : "RolledBack", reason, message + " at " + where());
  }
}

// ---- people ----

void RolloutAdvance::pause(const std::string& reason, const std::string& message) {
  s().paused_at = now_;
  s().pause_reason = reason;
  s().pause_message = message;
  note_word();
  s().phase = "Paused";
  explain_pause();
  event("RolloutPaused", message, true);
}

void RolloutAdvance::explain_pause() {
  if (s().pause_message.empty()) return;  // the version before wrote down the whole message alone
  s().message = s().pause_message + "; " + how_to_go_on() + " to retry this step, or set desiredState to " +
                (wants("Promoted") ? "" : "Promoted or ") + "Aborted" + changed_gates();
}

// The snapshot stays as it is, and who mended a gate in the Model is told so.
std::string RolloutAdvance::changed_gates() {
  std::string names;
  for (const api::GateStatus& gate : s().gates) {
    if (gate.verdict != "Failed" && gate.verdict != "Inconclusive") continue;
    const api::Gate* now = in_.policy.gate(gate.name);
    const api::Gate* then = policy().gate(gate.name);
    if (now && then && *now != *then) names += (names.empty() ? "" : ", ") + gate.name;
  }
  if (names.empty()) return "";
  const std::string& model = in_.rollout.model;
  return "; gate " + names + " of Model " + model + " has changed since this rollout started: run kubectl model abort " + model +
         " and kubectl model retry " + model + " to use it";
}

void RolloutAdvance::clear_pause() {
  s().paused_at.reset();
  s().pause_reason.clear();
  s().pause_message.clear();
}

void RolloutAdvance::promote() {
  // What failed since waits for a person's next word, or for what it lacked.
  const bool anew = resume_requested() || s().observed_state != "Promoted";
  const bool by_itself = paused_by_itself();
  if (at_final() && by_itself && !anew && !serving_.at(100)) return explain_pause();
  if (!at_final()) event("RolloutPromoted", "desiredState Promoted skips what follows " + where());
  if (!at_final() || (by_itself && anew)) {
    if (by_itself) ++s().attempt;
    enter(count() + 1);
    std::erase_if(s().gates, [&](const api::GateStatus& g) {
      const api::Gate* gate = policy().gate(g.name);
      return gate && gate->required && g.verdict != "Passed" && g.verdict != "Running";
    });
  }
  s().observed_state = "Promoted";
  clear_pause();
}

void RolloutAdvance::try_again() {
  clear_pause();
  ++s().attempt;
  enter(s().step_index);
  if (s().baking_since) s().baking_since = s().step_started;
  std::erase_if(s().gates, [](const api::GateStatus& g) { return g.verdict != "Passed" && g.verdict != "Running"; });
  event("RolloutResumed", "retrying " + where());
}

void RolloutAdvance::steer() {
  if (wants("Promoted")) return promote();
  if (wants("Paused")) s().observed_state = "Paused";
  if (paused_by_itself()) return told_to_go_on() ? try_again() : explain_pause();
  if (wants("Paused"))
    return stand_still("Requested", "desiredState Paused was set at " + where(), "; " + how_to_go_on() + " to continue");
  if (!in_.hold.empty()) return stand_still("Held", in_.hold);
  if (!s().paused_at) return;
  // The clock of the step stood still meanwhile.
  for (auto* since : {&s().step_started, &s().baking_since, &s().waiting_since})
    if (*since) *since = whole_second(**since + (now_ - *s().paused_at));
  if (s().pause_reason == "Requested") s().observed_state = "Paused";
  clear_pause();
  event("RolloutResumed", "resumed at " + where());
}

void RolloutAdvance::stand_still(const std::string& reason, const std::string& why, const std::string& way_out) {
  if (!s().paused_at) {
    s().paused_at = now_;
    event("RolloutPaused", why);
  }
  s().pause_reason = reason;
  s().phase = "Paused";
  s().message = why + way_out;
}

// ---- what serving has to do for where we are ----

void RolloutAdvance::announce_needs() {
  if (is_over(s().phase)) {
    out_.target.candidate_pods = s().phase == "Succeeded";
    return;
  }
  serving::TrafficTarget& target = out_.target;
  target.weight = s().candidate_weight;
  target.reach_candidate = !s().policy || policy().strategy != api::RolloutPolicy::Strategy::Canary || !policy().steps.empty() || !policy().gates.empty();
  target.keep_stable = s().baking_since && s().policy && policy().bake && policy().bake->keep_all;
  if (const auto since = s().ending ? s().ending->at : s().started) target.drain_until = *since + kDrainLimit;
  target.candidate_pods = true;
  target.recreate = recreates() && !first();
  if (s().ending) {
    target.candidate_pods = serving_.candidate.exists;
    return;
  }
  target.candidate_replicas = candidate_replicas();
  target.rules = route_rules();
  if (s().candidate_weight > 0) return;
  // Pods of a first version are served to everybody, and those that wait for people's approval may wait for days.
  if (!has_cleared(api::kFirstTraffic) && (first() || s().approval)) {
    target.candidate_pods = !first() && serving_.candidate.exists;
    target.warm_for = first() ? 0 : next_weight(policy(), s().step_index);
    return;
  }
  if (target.recreate) {
    target.candidate_pods = serving_.candidate.exists;
    return;
  }
  target.warm_for = next_weight(policy(), s().step_index);
  if (at_final() || step().weight) return;
  target.candidate_pods = serving_.candidate.exists ||
                    (!first() && (step().pause || step().match || step().candidate_replicas || needs_pods(policy(), step().gates)));
}

bool is_over(const std::string& phase) {
  return phase == "Succeeded" || phase == "RolledBack" || phase == "Aborted" || phase == "Superseded" ||
         phase == "Failed";
}

Advanced advance(const Input& input, TimePoint now) { return RolloutAdvance(input, now).run(); }

}  // namespace mo::rollout
