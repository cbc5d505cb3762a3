// The steps of a rollout, what they wait for, and the bake after them.
#include <algorithm>
#include <string>

#include "reconcilers/rollout/steps.h"
#include "reconcilers/rollout/rollout_advance.h"

namespace mo::rollout {

std::string RolloutAdvance::where() {
  if (s().baking_since) return "the bake";
  if (count() == 0) return "the start";
  if (at_final()) return "the end";
  return "step " + std::to_string(s().step_index) + "/" + std::to_string(count()) + " (" +
         describe(step()) + ")";
}

void RolloutAdvance::walk() {
  s().phase = "Progressing";
  if (!wants("Promoted")) watch_background();
  while (!s().ending && !s().paused_at) {
    if (frozen()) return;
    if (at_final()) return final();
    if (!take_step()) return;
    enter(s().step_index + 1);
  }
}

bool RolloutAdvance::take_step() {
  if (step().weight) return first() || reach(*step().weight);
  if (step().pause) return first() || wait_out(*step().pause);
  if (step().match) return first() || choose_callers();
  if (step().candidate_replicas) return first() || grow(*step().candidate_replicas);
  if (!step().background.empty()) return true;
  return pass_gates();
}

bool RolloutAdvance::reach(int weight) {
  if (s().candidate_weight == 0 && !(may_serve() && shadowed())) return false;
  if (weight == 100 && s().candidate_weight < 100 && !(pass_required() && may_have_all())) return false;
  s().candidate_weight = weight;
  s().stable_weight = first() ? 0 : 100 - weight;
  if (serving_.at(weight)) return true;
  const serving::Capacity goal = serving_.goal(weight);
  // Who asked for two pods wonders about twenty.
  const bool more = !serving_.routed && !first() && goal.stable > serving_.replicas;
  wait_for_pods(goal.candidate, " at " + std::to_string(weight) + "%" +
                                    (more ? " (needs " + std::to_string(goal.stable) + " pods of " + from() + " beside " +
                                                std::to_string(goal.candidate) + ", because without spec.serving.route the pod counts make the weight)"
                                          : ""));
  return false;
}

bool RolloutAdvance::wait_out(const api::Step::Pause& pause) {
  if (!warmed()) return false;
  if (!pause.duration) {
    if (told_to_go_on()) return true;
    s().phase = "Paused";
    s().message = "waiting at " + where() + "; " + how_to_go_on() + " to continue, or set desiredState to Promoted";
    return false;
  }
  const TimePoint until = *s().step_started + *pause.duration;
  if (now_ >= until) return true;
  s().message = where() + " until " + format_time(until);
  look_again(until);
  return false;
}

bool RolloutAdvance::choose_callers() {
  if (!may_serve() || !shadowed() || !warmed()) return false;
  if (serving_.routed && serving_.route_taken_up && serving_.route_rules.header_matches == step().match->headers) return true;
  wait_for_route("route matched headers to " + to());
  return false;
}

bool RolloutAdvance::grow(int pods) {
  if (serving_.candidate_has(pods)) return true;
  wait_for_pods(pods);
  return false;
}

serving::RouteRules RolloutAdvance::route_rules() {
  serving::RouteRules rules;
  if (!first() && has_cleared(api::kFirstTraffic) && shadow_over()) rules.header_matches = chosen_at(policy(), s().step_index);
  rules.mirrored = s().mirroring_since.has_value() && s().candidate_weight == 0;
  return rules;
}

std::optional<int> RolloutAdvance::candidate_replicas() {
  return first() ? std::nullopt : candidate_replicas_at(policy(), s().step_index);
}

// ---- copies of requests ----

// Copies go to the candidate. A gateway that doesn't know how might answer callers with errors instead, so it is asked first.
bool RolloutAdvance::mirrored() {
  if (!s().mirroring_since && !(may_serve() && can_mirror())) return false;
  if (serving_.routed && serving_.route_taken_up && serving_.route_rules.mirrored) {
    if (!s().mirrored_since) s().mirrored_since = whole_second(now_);
    return true;
  }
  // Somebody took the copies out of the route: what a policy asks for is a time without a gap.
  if (!serving_.route_rules.mirrored && !shadow_over()) s().mirrored_since.reset();
  wait_for_route("mirror requests to " + to());
  return false;
}

// Whether it has had copies for as long as a ModelPolicy asks, counted from when its gateways sent them. Who has traffic of its
// own has had them; a first version has nobody whose requests could be copied.
bool RolloutAdvance::shadow_over() {
  if (!s().governance || !s().governance->min_shadow || first() || is_rollback() || s().candidate_weight > 0) return true;
  return s().mirrored_since && now_ >= *s().mirrored_since + *s().governance->min_shadow;
}

bool RolloutAdvance::shadowed() {
  if (shadow_over()) return true;
  if (!shadows()) return fail("PolicyUnsatisfied", "a ModelPolicy requires mirrored requests before traffic, but the strategy of this rollout is not Shadow; set spec.rollout.strategy to Shadow"), false;
  if (!warmed()) return false;
  if (shadow_over()) return true;
  const TimePoint until = s().mirrored_since.value_or(now_) + *s().governance->min_shadow;
  s().message = to() + " gets mirrored requests until " + format_time(until) + ", as a ModelPolicy requires";
  look_again(until);
  return false;
}

bool RolloutAdvance::can_mirror() {
  if (in_.gateways.empty()) {
    fail("MirroringNotOffered", "spec.serving.route.parentRefs names no Gateway; strategy Shadow needs one that mirrors requests");
    return false;
  }
  const std::string id = "mirror/" + in_.rollout.meta.uid + "/" + std::to_string(s().step_started->time_since_epoch().count());
  const auto answer = in_.answers.find(id);
  if (answer == in_.answers.end()) {
    out_.asks.push_back({id, AskGateways{in_.gateways, "HTTPRouteRequestMirror"}});
    s().message = "checking whether the Gateways support request mirroring";
    return false;
  }
  if (!answer->second.text) {
    fail("MirroringNotOffered", answer->second.problem);
    return false;
  }
  s().mirroring_since = whole_second(now_);
  return true;
}

// ---- waiting ----

// Steps before the first weight that need the candidate's pods: they run without traffic.
bool RolloutAdvance::warmed() {
  if (s().candidate_weight > 0) return true;
  if (recreates()) return true;  // there is no room for them beside stable's
  const int weight = next_weight(policy(), s().step_index);
  const auto pods = candidate_replicas();
  if (pods ? serving_.candidate_has(*pods) : serving_.warm_for(weight)) return !shadows() || mirrored();
  if (pods)
    wait_for_pods(*pods);
  else
    wait_for_pods(serving_.warm_goal(weight), " at " + std::to_string(weight) + "%");
  return false;
}

// Those of its weight, which Promoted may have left before they were there.
bool RolloutAdvance::has_pods() {
  const int weight = s().candidate_weight;
  if (weight == 0) return warmed();
  if (serving_.at(weight)) return true;
  wait_for_pods(serving_.goal(weight).candidate, " at " + std::to_string(weight) + "%");
  return false;
}

void RolloutAdvance::wait_for_pods(int wanted, const std::string& where) {
  const serving::ServingState& g = serving_;
  const std::string problem = g.candidate_problem.empty() ? "" : ": " + g.candidate_problem;
  s().message = "waiting for " + to() + where + ": " + std::to_string(g.candidate.ready) + "/" +
                std::to_string(wanted) + " pods ready" + problem +
                (g.route_problem.empty() ? "" : "; " + g.route_problem);
  if (g.digest_mismatch) return fail("DigestMismatch", g.candidate_problem);
  if (g.bad_signature) return fail("BadSignature", g.candidate_problem);
  if (g.adopting && g.candidate_ready_for(100)) return;  // it is not the candidate that is late
  keep_deadline(to() + " was not ready within ", std::to_string(g.candidate.ready) + "/" + std::to_string(wanted) + " pods ready" + problem, g.candidate_fetching);
}

// Until the gateways do `what`: "mirror requests to m-v2".
void RolloutAdvance::wait_for_route(const std::string& what) {
  const std::string who = "HTTPRoute " + in_.rollout.model;
  const std::string problem = serving_.routed ? serving_.route_problem : "the Model has no spec.serving.route any more";
  s().message = "waiting for " + who + " to " + what + (problem.empty() ? "" : "; " + problem);
  keep_deadline(who + " did not " + what + " within ", problem.empty() ? "check the status of the HTTPRoute and of its Gateway" : problem);
}

// A step may be older than its deadline when pods go missing (it was scaled, a node was drained): they have that long to come from
// then on, and large weights take as long as they take.
void RolloutAdvance::keep_deadline(const std::string& missed, const std::string& stand, const serving::Fetching& fetching) {
  waits_ = true;
  if (!s().waiting_since) s().waiting_since = whole_second(now_);
  const TimePoint deadline = fetching.counts_from(*s().waiting_since) + policy().progress_deadline;
  if (now_ < deadline) return look_again(deadline);
  fail("ProgressDeadlineExceeded", missed + format_duration(policy().progress_deadline) + ": " + stand);
}

// ---- all traffic ----

void RolloutAdvance::final() {
  const bool there = reach(100);
  if (s().ending || s().paused_at) return;
  const bool must_bake = s().governance && s().governance->min_bake && !is_rollback();
  const bool bakes = policy().bake && !first() && (!wants("Promoted") || must_bake);
  if (bakes && (there || s().baking_since)) return bake(there);
  if (there) succeed();
}

// All traffic is there, and the way back is open: stable has its pods yet.
void RolloutAdvance::bake(bool there) {
  const api::RolloutPolicy::Bake& bake = *policy().bake;
  if (!s().baking_since) {
    s().baking_since = s().step_started = whole_second(now_);
    forget_gates(bake.gates);
    event("RolloutBaking", to() + " serves all traffic; its bake gates are measured for " + format_duration(bake.duration));
  }
  s().phase = "Baking";
  watch(bake.gates, attempt());
  if (s().ending || s().paused_at || !there) return;
  const TimePoint until = *s().baking_since + bake.duration;
  if (now_ < until) {
    s().message = to() + " serves all traffic; its bake gates are measured until " + format_time(until);
    return look_again(until);
  }
  for (const api::GateStatus& gate : s().gates) {
    const bool asked = std::find(bake.gates.begin(), bake.gates.end(), gate.name) != bake.gates.end();
    const api::Gate* policy = this->policy().gate(gate.name);
    if (!asked || gate.passed > 0 || (policy && policy->dry_run)) continue;
    s().message = "the bake waits for gate " + gate.name + " to pass once" +
                  (gate.message.empty() ? "" : ": " + gate.message);
    return;
  }
  succeed();
}

}  // namespace mo::rollout
