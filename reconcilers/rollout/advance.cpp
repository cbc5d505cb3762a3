#include "reconcilers/rollout/advance.h"

#include <algorithm>
#include <utility>

#include "reconcilers/rollout/gates.h"
#include "reconcilers/rollout/steps.h"

namespace mo::rollout {
namespace {

// Status keeps whole seconds. Rounded up, so that no pause or deadline ever ends early.
TimePoint whole_second(TimePoint t) { return std::chrono::ceil<std::chrono::seconds>(t); }

// So much may the clocks of two leaders differ without anybody minding; more than the rounding above.
constexpr Duration kSkew = std::chrono::seconds(5);

class Advance {
 public:
  Advance(const Input& in, TimePoint now) : in_(in), now_(now), ground_(in.ground) {
    out_.status = in.rollout.status;
    s().observed_generation = in.rollout.meta.generation;
  }

  Advanced run() {
    if (!s().started) start();
    mend_record();
    mend_clock();
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
      if (!s().paused_at) walk();
      if (s().ending) end();  // just decided: begin the way back in the same breath
    }
    announce_needs();
    return std::move(out_);
  }

 private:
  // A status that somebody else wrote may lack a part of what start() put there.
  void mend_record() {
    if (!s().policy) s().policy = in_.policy;
    if (!s().step_started) s().step_started = whole_second(now_);
    s().step_count = count();
    s().step_index = std::clamp(s().step_index, 1, count() + 1);
    ground_.candidate_replicas = candidate_replicas();
  }

  // A leader whose clock was ahead of ours began this step, or this pause, in what is our future: it begins
  // now instead, or it would last until then.
  void mend_clock() {
    if (s().step_started && *s().step_started > now_ + kSkew) s().step_started = whole_second(now_);
    if (s().baking_since && *s().baking_since > now_ + kSkew) s().baking_since = whole_second(now_);
    if (s().paused_at && *s().paused_at > now_ + kSkew) s().paused_at = now_;
  }

  api::RolloutStatus& s() { return out_.status; }
  const api::RolloutPolicy& policy() { return *s().policy; }
  const std::string& candidate() const { return in_.rollout.version; }
  bool first() { return s().from_version.empty(); }
  int count() { return static_cast<int>(policy().steps.size()); }
  bool at_final() { return s().step_index > count(); }
  const api::Step& step() { return policy().steps[s().step_index - 1]; }

  void event(const std::string& reason, const std::string& note, bool warning = false) {
    out_.events.push_back(
        {{Kind::ModelRollout, in_.rollout.meta.key}, in_.rollout.meta.uid, warning, reason, note});
  }

  void look_again(TimePoint at) {
    if (!out_.look_again || at < *out_.look_again) out_.look_again = at;
  }

  void start() {
    s().started = now_;
    s().policy = in_.policy;
    s().from_version = in_.stable;
    s().step_count = count();
    s().stable_weight = first() ? 0 : 100;
    s().candidate_weight = 0;
    s().phase = "Progressing";
    enter(1);
    event("RolloutStarted",
          first() ? "First version " + candidate() : "From " + in_.stable + " to " + candidate());
  }

  void enter(int index) {
    s().step_index = index;
    s().step_started = whole_second(now_);
    s().step_generation = in_.rollout.meta.generation;
    ground_.candidate_replicas = candidate_replicas();
    if (at_final()) return;
    forget_gates(step().gates);  // what an earlier step measured is measured anew
    forget_gates(step().background);
  }

  // ---- ends ----

  void decide_ending() {
    if (s().ending) return;
    if (in_.rollout.desired_state == "Aborted")
      decide("Aborted", "Aborted", "aborted by desiredState at " + where());
    else if (!in_.superseded_by.empty())
      decide("Superseded", "Superseded", in_.superseded_by);
  }

  void decide(const std::string& phase, const std::string& reason, const std::string& message) {
    s().ending = api::Ending{phase, reason, message, now_};
    event(reason, message, phase != "Superseded");
  }

  // Back to stable, then over. Traffic first: the phase says so only when stable has it all again.
  void end() {
    s().paused_at.reset();
    s().pause_reason.clear();
    const serving::Ground& g = ground_;
    const bool back = first() || g.selected == serving::Ground::Selected::Stable ||
                      g.selected == serving::Ground::Selected::Nobody;
    if (!back || !recorded()) {
      out_.draining = !first();
      s().phase = "Progressing";
      s().message = "going back to " + s().from_version + ": " + s().ending->message;
      look_again(std::max(s().ending->at + kDrainLimit, now_ + Duration(1000)));
      return;
    }
    s().stable_weight = first() ? 0 : 100;
    s().candidate_weight = 0;
    finish(s().ending->phase, s().ending->message);
  }

  void finish(const std::string& phase, const std::string& message) {
    s().phase = phase;
    s().message = message;
    s().finished = now_;
    out_.asks.clear();
    out_.jobs.clear();
  }

  // The Model learns an outcome before the rollout's own status tells it: what was measured just now has to be on
  // record first, or a crash in between forgets what the outcome rests on.
  bool recorded() { return s().gates == in_.rollout.status.gates; }

  // The Model took the version as its stable one, and then we crashed.
  bool already_stable() {
    return !in_.stable.empty() && in_.stable == candidate() && in_.stable != s().from_version;
  }

  void succeed() {
    if (!recorded()) {
      s().message = "done, " + candidate() + " serves all traffic";
      return;
    }
    s().stable_weight = 0;
    s().candidate_weight = 100;
    s().step_index = count();
    s().paused_at.reset();
    s().pause_reason.clear();
    finish("Succeeded", candidate() + " serves all traffic");
    event("RolloutSucceeded", candidate() + " serves all traffic");
  }

  void fail(const std::string& reason, const std::string& message) {
    if (policy().on_failure == api::RolloutPolicy::OnFailure::Pause) {
      pause(reason, message);
    } else {
      decide(first() ? "Failed" : "RolledBack", reason, message + " at " + where());
    }
  }

  // ---- people ----

  bool wants(const char* state) const { return in_.rollout.desired_state == state; }
  bool wants_running() const { return in_.rollout.desired_state.empty() || wants("Running"); }
  // Somebody wrote to the spec since, and it says to run.
  bool told_to_go_on() { return wants_running() && in_.rollout.meta.generation > s().step_generation; }

  void pause(const std::string& reason, const std::string& message) {
    s().paused_at = now_;
    s().pause_reason = reason;
    s().step_generation = in_.rollout.meta.generation;
    s().phase = "Paused";
    s().message = message + "; set desiredState to Running to try this step again, to Promoted or to Aborted";
    event("RolloutPaused", message, true);
  }

  void steer() {
    if (wants("Promoted")) {
      if (!at_final()) {
        event("RolloutPromoted", "what was left after " + where() + " is skipped by desiredState");
        enter(count() + 1);
      }
      s().paused_at.reset();
      s().pause_reason.clear();
      return;
    }
    if (s().paused_at && s().pause_reason != "Requested") {
      if (!told_to_go_on()) return;
      s().paused_at.reset();
      s().pause_reason.clear();
      enter(s().step_index);
      if (s().baking_since) s().baking_since = s().step_started;
      std::erase_if(s().gates, [](const api::GateStatus& g) { return g.verdict != "Passed" && g.verdict != "Running"; });
      event("RolloutResumed", "trying " + where() + " again");
      return;
    }
    if (wants("Paused")) {
      if (!s().paused_at) {
        s().paused_at = now_;
        s().pause_reason = "Requested";
        event("RolloutPaused", "paused by desiredState at " + where());
      }
      s().phase = "Paused";
      s().message = "paused by desiredState at " + where();
      return;
    }
    if (s().paused_at) {  // was Requested: the clock of the step stood still meanwhile
      for (auto* since : {&s().step_started, &s().baking_since})
        if (*since) *since = whole_second(**since + (now_ - *s().paused_at));
      s().paused_at.reset();
      s().pause_reason.clear();
      event("RolloutResumed", "resumed at " + where());
    }
  }

  // ---- steps ----

  std::string where() {
    if (s().baking_since) return "the bake";
    if (count() == 0) return "the start";
    if (at_final()) return "the end";
    return "step " + std::to_string(s().step_index) + "/" + std::to_string(count()) + " (" +
           describe(step()) + ")";
  }

  void walk() {
    s().phase = "Progressing";
    watch_background();
    while (!s().ending && !s().paused_at) {
      if (at_final()) return final();
      if (!take_step()) return;
      enter(s().step_index + 1);
    }
  }

  // Returns true once the step is done.
  bool take_step() {
    if (step().weight) return first() || reach(*step().weight);
    if (step().pause) return first() || wait_out(*step().pause);
    if (step().match) return first() || choose_callers();
    if (step().candidate_replicas) return first() || grow(*step().candidate_replicas);
    if (!step().background.empty()) return true;
    return pass_gates();
  }

  serving::Apart apart() {
    serving::Apart apart;
    if (!first()) apart.chosen = chosen_at(policy(), s().step_index);
    apart.mirrored = s().mirroring_since.has_value() && s().candidate_weight == 0;
    return apart;
  }

  std::optional<int> candidate_replicas() {
    return first() ? std::nullopt : candidate_replicas_at(policy(), s().step_index);
  }

  bool choose_callers() {
    if (!warmed()) return false;
    if (ground_.routed && ground_.route_taken_up && ground_.route_apart.chosen == step().match->headers) return true;
    wait_for_route("chosen callers go to " + candidate());
    return false;
  }

  bool grow(int pods) {
    if (ground_.candidate_has(pods)) return true;
    wait_for_pods(pods);
    return false;
  }

  // Copies go to the candidate. A gateway that doesn't know how might answer callers with errors instead, so it is asked first.
  bool mirrored() {
    if (!s().mirroring_since && !can_mirror()) return false;
    if (ground_.routed && ground_.route_taken_up && ground_.route_apart.mirrored) return true;
    wait_for_route(candidate() + " gets copies of requests");
    return false;
  }

  bool can_mirror() {
    if (in_.gateways.empty()) {
      fail("MirroringNotOffered", "spec.serving.route names no Gateway that could mirror requests");
      return false;
    }
    const std::string id = "mirror/" + in_.rollout.meta.uid + "/" + std::to_string(s().step_started->time_since_epoch().count());
    const auto answer = in_.answers.find(id);
    if (answer == in_.answers.end()) {
      out_.asks.push_back({id, AskGateways{in_.gateways, "HTTPRouteRequestMirror"}});
      s().message = "asking the gateways whether they mirror requests";
      return false;
    }
    if (!answer->second.text) {
      fail("MirroringNotOffered", answer->second.problem);
      return false;
    }
    s().mirroring_since = whole_second(now_);
    return true;
  }

  void final() {
    if (s().baking_since) count_gap();
    const bool there = reach(100);
    if (s().ending || s().paused_at || (!there && !s().baking_since)) return;
    if (there && (!policy().bake || first() || wants("Promoted"))) return succeed();
    bake(there);
  }

  // A bake may be longer than the deadline. Pods that are missing in its midst (it was scaled, a node was drained) have that long to
  // come from then on: step_started says since when, and is bakingSince as long as none is missing.
  void count_gap() {
    if (ground_.at(100))
      s().step_started = s().baking_since;
    else if (s().step_started == s().baking_since)
      s().step_started = whole_second(now_);
  }

  // All traffic is there, and the way back is open: stable has its pods yet.
  void bake(bool there) {
    if (!policy().bake) return;
    const api::RolloutPolicy::Bake& bake = *policy().bake;
    if (!s().baking_since) {
      s().baking_since = s().step_started = whole_second(now_);
      forget_gates(bake.gates);
      event("RolloutBaking", candidate() + " has all traffic; it is watched for " + format_duration(bake.duration));
    }
    s().phase = "Baking";
    watch(bake.gates);
    if (s().ending || s().paused_at || !there) return;
    const TimePoint until = *s().baking_since + bake.duration;
    if (now_ < until) {
      s().message = candidate() + " has all traffic and is watched until " + format_time(until);
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

  // Gates that earlier steps told to watch, but for those that this step measures itself.
  void watch_background() {
    if (first()) return;
    std::vector<std::string> names = watched_at(policy(), s().step_index);
    if (s().baking_since)
      std::erase_if(names, [&](const std::string& name) {
        const auto& own = policy().bake->gates;
        return std::find(own.begin(), own.end(), name) != own.end();
      });
    watch(names);
  }

  void watch(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      const api::Gate* gate = policy().gate(name);
      if (!gate || !gate->measurable()) return fail("GateUndefined", undefined(name));
      pass_gate(*gate, true);
      if (s().ending || s().paused_at) return;
    }
  }

  static std::string undefined(const std::string& gate) {
    return "gate " + gate + " is not defined, or is of a kind that this operator doesn't know";
  }

  void forget_gates(const std::vector<std::string>& names) {
    std::erase_if(s().gates, [&](const api::GateStatus& g) {
      return std::find(names.begin(), names.end(), g.name) != names.end();
    });
  }

  bool reach(int weight) {
    s().candidate_weight = weight;
    s().stable_weight = first() ? 0 : 100 - weight;
    if (ground_.at(weight)) return true;
    wait_for_pods(ground_.goal(weight).candidate, " at " + std::to_string(weight) + "%");
    return false;
  }

  void wait_for_pods(int wanted, const std::string& where = "") {
    const serving::Ground& g = ground_;
    const std::string problem = g.candidate_problem.empty() ? "" : ": " + g.candidate_problem;
    s().message = "waiting for " + candidate() + where + ": " + std::to_string(g.candidate.ready) + "/" +
                  std::to_string(wanted) + " pods ready" + problem +
                  (g.route_problem.empty() ? "" : "; " + g.route_problem);
    if (g.digest_mismatch) return fail("DigestMismatch", g.candidate_problem);
    keep_deadline("not ready within ", std::to_string(g.candidate.ready) + " pods of " + candidate() + " are ready" + problem);
  }

  // Until `what` is true of the route.
  void wait_for_route(const std::string& what) {
    const std::string problem = !ground_.routed                  ? "; the Model has no route any more"
                                : ground_.route_problem.empty() ? ""
                                                                : "; " + ground_.route_problem;
    s().message = "waiting until " + what + problem;
    keep_deadline("not so within ", what + problem);
  }

  void keep_deadline(const std::string& missed, const std::string& stand) {
    const TimePoint deadline = *s().step_started + policy().progress_deadline;
    if (now_ < deadline) return look_again(deadline);
    fail("ProgressDeadlineExceeded", missed + format_duration(policy().progress_deadline) + ": " + stand);
  }

  bool wait_out(const api::Step::Pause& pause) {
    if (!warmed()) return false;
    if (!pause.duration) {
      if (told_to_go_on()) return true;
      s().phase = "Paused";
      s().message =
          "waits at " + where() + " until somebody sets desiredState to Running (again) or to Promoted";
      return false;
    }
    const TimePoint until = *s().step_started + *pause.duration;
    if (now_ >= until) return true;
    s().message = where() + " until " + format_time(until);
    look_again(until);
    return false;
  }

  // Steps before the first weight that need the candidate's pods: they run without traffic.
  bool warmed() {
    if (s().candidate_weight > 0) return true;
    if (recreates()) return true;  // there is no room for them beside stable's
    const int weight = next_weight(policy(), s().step_index);
    const auto pods = candidate_replicas();
    if (pods ? ground_.candidate_has(*pods) : ground_.warm_for(weight)) return !shadows() || mirrored();
    if (pods)
      wait_for_pods(*pods);
    else
      wait_for_pods(ground_.warm_goal(weight), " at " + std::to_string(weight) + "%");
    return false;
  }

  bool shadows() { return policy().strategy == api::RolloutPolicy::Strategy::Shadow; }

  bool recreates() { return policy().strategy == api::RolloutPolicy::Strategy::Recreate; }

  bool pass_gates() {
    if (!first() && needs_pods(policy(), step().gates) && !warmed()) return false;
    bool all = true;
    for (const std::string& name : step().gates) {
      const api::Gate* gate = policy().gate(name);
      if (!gate || !gate->measurable()) {  // admission stops this; a snapshot could still carry it
        fail("GateUndefined", undefined(name));
        return false;
      }
      if (first() && (gate->prometheus_query || gate->web))
        continue;  // there is nothing to compare yet and nobody to serve worse than before
      if (!pass_gate(*gate)) all = false;
      if (s().ending || s().paused_at) return false;
    }
    if (!all) s().message = "measuring at " + where() + gate_messages();
    return all;
  }

  std::string gate_messages() {
    std::string text;
    for (const api::GateStatus& gate : s().gates) {
      if (gate.verdict != "Running" || gate.message.empty()) continue;
      text += ": " + gate.name + ": " + gate.message;
    }
    return text;
  }

  TimePoint attempt_started() { return s().baking_since ? *s().baking_since : *s().step_started; }

  GateContext gate_context() {
    GateContext context;
    context.id_prefix = "gate/" + in_.rollout.meta.uid + "/" + std::to_string(s().step_index) + "/" +
                        std::to_string(attempt_started().time_since_epoch().count()) + "/" +
                        std::to_string(s().step_generation);  // a person may try again within the second
    context.ns = in_.rollout.meta.key.ns;
    context.model = in_.rollout.model;
    context.stable = s().from_version;
    context.candidate = candidate();
    context.candidate_metrics = in_.candidate_metrics;
    context.stable_metrics = in_.stable_metrics;
    context.answers = &in_.answers;
    context.jobs = &in_.jobs;
    context.attempt_started = attempt_started();
    return context;
  }

  bool pass_gate(const api::Gate& gate, bool watching = false) {
    auto it =
        std::find_if(s().gates.begin(), s().gates.end(), [&](const auto& g) { return g.name == gate.name; });
    if (it == s().gates.end())
      it = s().gates.insert(it, api::GateStatus{gate.name, {}, {}, {}, 0, 0, 0, {}, {}});
    GateContext context = gate_context();
    context.watching = watching;
    GateProgress progress = measure(gate, *it, context, now_);
    const bool news = progress.status.verdict != it->verdict;
    *it = progress.status;
    if (progress.ask) out_.asks.push_back(*progress.ask);
    if (!progress.job.empty()) out_.jobs[progress.job] = &gate;
    if (progress.due) look_again(*progress.due);
    if (it->verdict == "Passed") {
      if (news)
        event("GatePassed",
              "gate " + gate.name + " passed" + (it->value.empty() ? "" : " with " + it->value));
      return true;
    }
    const std::string what = "gate " + gate.name;
    if (gate.dry_run && it->verdict != "Running") {
      if (news)
        event("GateWouldHold", what + (it->verdict == "Failed" ? " failed: " : " is inconclusive: ") +
                                   it->message + "; it is a dry run");
      return true;
    }
    if (it->verdict == "Failed")
      fail("GateFailed", what + " failed: " + it->message);
    else if (it->verdict == "Inconclusive" && gate.on_inconclusive == api::Gate::OnInconclusive::Fail)
      fail("GateInconclusive", what + " is inconclusive: " + it->message);
    else if (it->verdict == "Inconclusive")
      pause("GateInconclusive", what + " is inconclusive: " + it->message);
    return false;
  }

  // ---- what serving has to do for where we are ----

  void announce_needs() {
    if (is_over(s().phase)) {
      out_.wants_pods = s().phase == "Succeeded";
      return;
    }
    out_.wants_pods = true;
    out_.recreate = recreates() && !first();
    if (s().ending) {
      out_.wants_pods = ground_.candidate.exists;
      return;
    }
    out_.candidate_replicas = candidate_replicas();
    out_.apart = apart();
    if (s().candidate_weight > 0) return;
    if (out_.recreate) {
      out_.wants_pods = ground_.candidate.exists;
      return;
    }
    out_.warm_for = next_weight(policy(), s().step_index);
    if (at_final() || step().weight) return;
    out_.wants_pods = ground_.candidate.exists ||
                      (!first() && (step().pause || step().match || step().candidate_replicas || needs_pods(policy(), step().gates)));
  }

  const Input& in_;
  TimePoint now_;
  serving::Ground ground_;
  Advanced out_;
};

}  // namespace

bool is_over(const std::string& phase) {
  return phase == "Succeeded" || phase == "RolledBack" || phase == "Aborted" || phase == "Superseded" ||
         phase == "Failed";
}

Advanced advance(const Input& input, TimePoint now) { return Advance(input, now).run(); }

}  // namespace mo::rollout
