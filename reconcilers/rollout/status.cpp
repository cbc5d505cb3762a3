#include "reconcilers/rollout/status.h"

#include <algorithm>

#include "reconcilers/common/conditions.h"
#include "reconcilers/common/revision.h"
#include "reconcilers/common/side.h"
#include "reconcilers/governance/record.h"
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

Json gate_json(const api::GateStatus& g) {
  Json measurements = Json::array();
  for (const api::Measurement& m : g.measurements) {
    Json one = {{"at", format_time(m.at)}, {"verdict", m.verdict}};
    if (!m.value.empty()) one["value"] = m.value;
    measurements.push_back(std::move(one));
  }
  Json out = {
      {"name", g.name},     {"verdict", g.verdict},           {"passed", g.passed},
      {"failed", g.failed}, {"inconclusive", g.inconclusive}, {"measurements", std::move(measurements)}};
  if (!g.value.empty()) out["value"] = g.value;
  if (!g.stable_value.empty()) out["stableValue"] = g.stable_value;
  if (!g.message.empty()) out["message"] = g.message;
  if (g.started) out["startedAt"] = format_time(*g.started);
  return out;
}

std::string step_description(const api::RolloutStatus& s) {
  if (s.phase == "Succeeded") return "done";
  if (s.baking_since) return "bake";
  if (s.step_index == 0 || !s.policy || s.step_index > static_cast<int>(s.policy->steps.size()))
    return "to 100%";
  return describe(s.policy->steps[s.step_index - 1]);
}

void put(Json& out, const char* name, const std::optional<TimePoint>& t) {
  if (t) out[name] = format_time(*t);
}
void put(Json& out, const char* name, const std::string& text) {
  if (!text.empty()) out[name] = text;
}

std::string name_of(const std::optional<api::Revision>& revision) { return revision ? revision->name : ""; }

void put_progress(Json& out, const api::RolloutStatus& s) {
  if (!s.started) return;
  if (s.revision) out["revision"] = to_json(*s.revision);
  if (s.from_revision) out["fromRevision"] = to_json(*s.from_revision);
  put(out, "fromVersion", s.from_version);
  put(out, "fromDigest", s.from_digest);
  put(out, "specHash", s.spec_hash);
  put(out, "digest", s.digest);
  out["step"] = {{"index", s.step_index}, {"count", s.step_count}, {"description", step_description(s)}};
  out["stepSummary"] =
      std::to_string(std::min(s.step_index, s.step_count)) + "/" + std::to_string(s.step_count);
  out["weights"] = {{"stable", s.stable_weight}, {"candidate", s.candidate_weight}};
  if (s.attempt > 0) out["attempt"] = s.attempt;
  out["stepGeneration"] = s.step_generation;
  if (!s.gates.empty()) {
    out["gates"] = Json::array();
    for (const api::GateStatus& g : s.gates) out["gates"].push_back(gate_json(g));
  }
  put(out, "startedAt", s.started);
  put(out, "stepStartedAt", s.step_started);
  put(out, "mirroringSince", s.mirroring_since);
  put(out, "mirroredSince", s.mirrored_since);
  put(out, "bakingSince", s.baking_since);
  put(out, "pausedAt", s.paused_at);
  put(out, "pauseReason", s.pause_reason);
  put(out, "pauseMessage", s.pause_message);
  put(out, "waitingSince", s.waiting_since);
  put(out, "observedState", s.observed_state);
  // As exact as it was asked: with its fraction cut off it would be a new one for ever.
  if (s.observed_resume) out["observedResume"] = format_exact_time(*s.observed_resume);
  if (s.policy) {
    Result<Json> policy = parse_json(s.policy->raw, kLargestPolicy);
    if (policy) out["policy"] = std::move(*policy);
  }
  if (!s.cluster_gates.empty()) out["clusterGates"] = s.cluster_gates;
  if (s.governance) out["governance"] = governance::to_json(*s.governance);
  if (s.approval) out["approval"] = governance::to_json(*s.approval);
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
  if (!waiting.message.empty()) shown.message = waiting.message;
  if (!problem.empty() && !is_over(s.phase)) shown.message = problem;
  Json out = {
      {"observedGeneration", rollout.meta.generation}, {"phase", shown.phase}, {"message", shown.message}};
  put(out, "from", from_text(rollout.version, s));
  put(out, "to", to_text(rollout.version, s));
  put_progress(out, shown);
  put(out, "finishedAt", s.finished);
  if (s.ending)
    out["ending"] = {{"phase", s.ending->phase},
                     {"reason", s.ending->reason},
                     {"message", s.ending->message},
                     {"at", format_time(s.ending->at)}};
  if (s.ending && !s.ending->approval.empty()) out["ending"]["approval"] = s.ending->approval;
  Conditions conditions(rollout.status.conditions, rollout.meta.generation, now);
  const Verdict stall = stalled(shown, waiting, problem);
  conditions.set("Ready", ready(shown, stall));
  conditions.set("Reconciling", reconciling(shown, stall));
  conditions.set("Stalled", stall);
  conditions.set("Complete", complete(shown));
  conditions.set("Succeeded", succeeded(shown));
  out["conditions"] = to_json(conditions.get());
  return out;
}

}  // namespace mo::rollout
