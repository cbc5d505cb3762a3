// The gates of a rollout: those that its step waits for, and those that are watched beside it.
#include <algorithm>
#include <string>
#include <vector>

#include "reconcilers/measure/gates.h"
#include "reconcilers/rollout/steps.h"
#include "reconcilers/rollout/rollout_advance.h"

namespace mo::rollout {
namespace {

std::string undefined(const std::string& gate) {
  return "gate " + gate + " is not defined, or this operator does not support its kind";
}

}  // namespace

bool RolloutAdvance::pass_gates() {
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
    if (!pass_gate(*gate, attempt())) all = false;
    if (s().ending || s().paused_at) return false;
  }
  if (!all) s().message = "measuring at " + where() + gate_messages();
  return all;
}

// Those that nothing skips, and that have not passed in this rollout. The way back to what served before waits for none.
std::vector<std::string> RolloutAdvance::required_gates() {
  std::vector<std::string> names;
  if (wants("Promoted") && in_.served_before) return names;
  for (const api::Gate& gate : policy().gates) {
    if (!gate.required || (first() && (gate.prometheus_query || gate.web))) continue;
    const auto passed = [&](const api::GateStatus& g) {
      return g.name == gate.name && (g.verdict == "Passed" || (g.verdict == "Running" && g.passed >= gate.count));
    };
    if (std::none_of(s().gates.begin(), s().gates.end(), passed)) names.push_back(gate.name);
  }
  return names;
}

// Before the candidate gets all traffic.
bool RolloutAdvance::pass_required() {
  const std::vector<std::string> names = required_gates();
  if (names.empty()) return true;
  if (!first() && needs_pods(policy(), names) && !has_pods()) return false;
  const std::vector<std::string> watched = wants("Promoted") ? std::vector<std::string>{} : watched_at(policy(), s().step_index);
  bool all = true;
  for (const std::string& name : names) {
    const api::Gate* gate = policy().gate(name);
    if (!gate->measurable()) return fail("GateUndefined", undefined(name)), false;
    const bool elsewhere = std::find(watched.begin(), watched.end(), name) != watched.end();
    if (elsewhere || !pass_gate(*gate, attempt())) all = false;
    if (s().ending || s().paused_at) return false;
  }
  if (!all) s().message = "measuring required gates before 100% traffic goes to " + to() + gate_messages();
  return all;
}

// Gates that earlier steps told to watch, but for those that this step measures itself.
void RolloutAdvance::watch_background() {
  if (first()) return;
  std::vector<std::string> names = watched_at(policy(), s().step_index);
  if (s().baking_since)
    std::erase_if(names, [&](const std::string& name) {
      const auto& own = policy().bake->gates;
      return std::find(own.begin(), own.end(), name) != own.end();
    });
  watch(names, {*s().started, "background/" + std::to_string(s().attempt)}, true);
}

void RolloutAdvance::watch(const std::vector<std::string>& names, const Attempt& attempt, bool background) {
  for (const std::string& name : names) {
    const api::Gate* gate = policy().gate(name);
    if (!gate || !gate->measurable()) return fail("GateUndefined", undefined(name));
    pass_gate(*gate, attempt, true, background);
    if (s().ending || s().paused_at) return;
  }
}

// A gate that is watched never passes for good: one that did was a step's own. It is counted anew; its last measurement stays and
// says when the next is due, which has a name of its own by that.
void RolloutAdvance::watch_again(int index) {
  const std::vector<std::string> watched = watched_at(policy(), index);
  const std::vector<std::string> begun = index <= count() ? step().background : std::vector<std::string>{};
  const auto among = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (api::GateStatus& g : s().gates) {
    if (!among(begun, g.name) && !(g.verdict == "Passed" && among(watched, g.name))) continue;
    g.verdict = "Running";
    g.passed = g.failed = g.inconclusive = 0;
    g.message.clear();
  }
}

void RolloutAdvance::forget_gates(const std::vector<std::string>& names) {
  std::erase_if(s().gates, [&](const api::GateStatus& g) {
    return std::find(names.begin(), names.end(), g.name) != names.end();
  });
}

std::string RolloutAdvance::gate_messages() {
  std::string text;
  for (const api::GateStatus& gate : s().gates) {
    if (gate.verdict != "Running" || gate.message.empty()) continue;
    text += ": " + gate.name + ": " + gate.message;
  }
  return text;
}

RolloutAdvance::Attempt RolloutAdvance::attempt() {
  // Neither a pause nor its end begins another: what was asked, and the Job that runs, are taken on.
  const TimePoint since = s().baking_since ? *s().baking_since : *s().step_started;
  return {since, (s().baking_since ? "bake" : std::to_string(s().step_index)) + "/" + std::to_string(s().attempt)};
}

measure::GateContext RolloutAdvance::gate_context(const Attempt& attempt) {
  measure::GateContext context;
  context.id_prefix = "gate/" + in_.rollout.meta.uid + "/" + attempt.name;
  context.rollout_uid = in_.rollout.meta.uid;
  context.ns = in_.rollout.meta.key.ns;
  context.model = in_.rollout.model;
  context.stable = s().from_version;
  context.candidate = candidate();
  if (s().from_revision) context.stable_revision = s().from_revision->label();
  if (s().revision) context.candidate_revision = s().revision->label();
  context.candidate_metrics = in_.candidate_metrics;
  context.stable_metrics = in_.stable_metrics;
  context.answers = &in_.answers;
  context.jobs = &in_.jobs;
  context.job_troubles = &in_.job_troubles;
  context.attempt_started = attempt.since;
  return context;
}

bool RolloutAdvance::pass_gate(const api::Gate& gate, const Attempt& attempt, bool watching, bool background) {
  auto it =
      std::find_if(s().gates.begin(), s().gates.end(), [&](const auto& g) { return g.name == gate.name; });
  if (it == s().gates.end())
    it = s().gates.insert(it, api::GateStatus{gate.name, {}, {}, {}, 0, 0, 0, {}, {}});
  measure::GateContext context = gate_context(attempt);
  context.watching = watching;
  context.of_cluster = std::find(s().cluster_gates.begin(), s().cluster_gates.end(), gate.name) != s().cluster_gates.end();
  context.background = background;
  measure::GateProgress progress = measure::measure(gate, *it, context, now_);
  const bool news = progress.status.verdict != it->verdict;
  *it = progress.status;
  if (progress.ask) out_.asks.push_back(*progress.ask);
  if (progress.starts_job) out_.jobs[progress.job] = &gate;
  if (progress.job_taken) out_.job_taken = progress.job;
  if (!progress.job.empty()) out_.measuring[gate.name] = progress.job;
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
                                 it->message + "; dryRun is true, so the rollout continues");
    return true;
  }
  if (it->verdict == "Failed")
    fail("GateFailed", what + " failed: " + it->message);
  else if (it->verdict == "Inconclusive" && measure::on_inconclusive(gate, background) == api::Gate::OnInconclusive::Fail)
    fail("GateInconclusive", what + " is inconclusive: " + it->message);
  else if (it->verdict == "Inconclusive")
    pause("GateInconclusive", what + " is inconclusive: " + it->message);
  return false;
}

}  // namespace mo::rollout
