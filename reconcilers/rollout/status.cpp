#include "reconcilers/rollout/status.h"

#include <algorithm>

#include "operator/api/statuses.h"
#include "reconcilers/common/conditions.h"
#include "reconcilers/common/side.h"
#include "reconcilers/rollout/advance.h"
#include "reconcilers/rollout/policy.h"
#include "reconcilers/rollout/steps.h"

namespace mo::rollout {
namespace {

constexpr const char* kAwaits = "AwaitingApproval";

std::string ended_as(const api::RolloutStatus& s) {
  if (s.ending && s.ending->phase == s.phase) return s.ending->reason;
  return s.phase;
}

Verdict complete(const api::RolloutStatus& s) {
  if (is_over(s.phase)) return {true, ended_as(s), s.message};
  return {false, "InProgress", s.message};
}

Verdict succeeded(const api::RolloutStatus& s) {
  if (s.phase == "Succeeded") return {true, "Succeeded", s.message};
  return {false, is_over(s.phase) ? ended_as(s) : "InProgress", s.message};
}

// It will not get there by itself: it ended badly, or it cannot start, or the API server refuses what it
// needs.
Verdict stalled(const api::RolloutStatus& s, const Waiting& waiting, const std::string& problem) {
  if (s.phase == "RolledBack" || s.phase == "Failed") return {true, ended_as(s), s.message};
  if (is_over(s.phase)) return {false, ended_as(s), ""};
  if (s.approval && s.approval->reason != kAwaits) return {true, s.approval->reason, s.message};
  if (waiting.stalled) return {true, waiting.reason, waiting.message};
  if (!problem.empty()) return {true, "ApplyRefused", problem};
  return {false, "InProgress", ""};
}

Verdict ready(const api::RolloutStatus& s, const Verdict& stalled) {
  if (stalled.is) return {false, stalled.reason, stalled.message};
  if (is_over(s.phase)) return {true, ended_as(s), s.message};
  return {false, "InProgress", s.message};
}

Verdict reconciling(const api::RolloutStatus& s, const Verdict& stalled) {
  if (is_over(s.phase) || stalled.is) return {false, is_over(s.phase) ? ended_as(s) : stalled.reason, ""};
  return {true, s.approval ? kAwaits : s.phase == "Paused" ? "Paused" : "InProgress", s.message};
}

std::string step_description(const api::RolloutStatus& s) {
  if (s.phase == "Succeeded") return "done";
  if (s.baking_since) return "bake";
  if (s.step_index == 0 || !s.policy || s.step_index > static_cast<int>(s.policy->steps.size()))
    return "to 100%";
  return describe(s.policy->steps[s.step_index - 1]);
}

std::string name_of(const std::optional<api::Revision>& revision) { return revision ? revision->name : ""; }

// One that has not started has nothing to keep, and nothing to show but why.
api::RolloutStatus kept(api::RolloutStatus s) {
  if (s.started) return s;
  api::RolloutStatus bare;
  bare.observed_generation = s.observed_generation, bare.conditions = std::move(s.conditions);
  bare.phase = std::move(s.phase), bare.message = std::move(s.message), bare.finished = s.finished, bare.ending = std::move(s.ending);
  return bare;
}

// For people.
void put_summaries(Json& out, const std::string& version, const api::RolloutStatus& s) {
  if (const std::string from = from_text(version, s); !from.empty()) out["from"] = from;
  if (const std::string to = to_text(version, s); !to.empty()) out["to"] = to;
  if (s.started) {
    out["step"]["description"] = step_description(s);
    out["stepSummary"] = std::to_string(std::min(s.step_index, s.step_count)) + "/" + std::to_string(s.step_count);
  } else {
    for (const char* name : {"step", "weights", "stepGeneration"}) out.erase(name);
  }
}

}  // namespace

std::string from_text(const std::string& version, const api::RolloutStatus& s) {
  return shown(s.from_version, name_of(s.from_revision), version, name_of(s.revision));
}

std::string to_text(const std::string& version, const api::RolloutStatus& s) {
  return shown(version, name_of(s.revision), s.from_version, name_of(s.from_revision));
}

Json render_status(const api::ModelRollout& rollout, const api::RolloutStatus& s, const Waiting& waiting,
                   const std::string& problem, TimePoint now) {
  api::RolloutStatus shown = s;
  shown.observed_generation = rollout.meta.generation;
  if (!waiting.message.empty()) shown.message = waiting.message;
  if (!problem.empty() && !is_over(s.phase)) shown.message = problem;
  Conditions conditions(rollout.status.conditions, rollout.meta.generation, now);
  const Verdict stall = stalled(shown, waiting, problem);
  conditions.set("Ready", ready(shown, stall));
  conditions.set("Reconciling", reconciling(shown, stall));
  conditions.set("Stalled", stall);
  conditions.set("Complete", complete(shown));
  conditions.set("Succeeded", succeeded(shown));
  shown.conditions = conditions.get();
  Json out = api::to_json(kept(std::move(shown)));
  put_summaries(out, rollout.version, s);
  return out;
}

}  // namespace mo::rollout
