#include "reconcilers/training/running.h"

#include <algorithm>

#include "reconcilers/common/names.h"
#include "reconcilers/measure/gates.h"

namespace mo::training {

// Why one of these does not pass; the gates must be there, or the run waits.
std::optional<std::string> Run::unsatisfied(const std::vector<std::string>& gates, const Metrics& metrics, const Metrics& champion,
                                            const std::string& what) {
  if (gates.empty()) return {};
  if (!policy_.retraining.reason.empty()) {
    wait("Waiting to evaluate gates of " + what + ": " + policy_.retraining.message);
    out_.problem_reason = policy_.retraining.reason;
    out_.problem = policy_.retraining.message;
    return {};
  }
  measure::GateContext context;
  context.ns = o_.key.ns;
  context.model = o_.key.name;
  context.stable = s().champion;
  context.candidate = what;
  context.candidate_metrics = &metrics;
  context.stable_metrics = &champion;
  for (const std::string& gate_name : gates) {
    const api::Gate* gate = policy_.policy->gate(gate_name);
    if (!gate || !gate->version_metric) return "gate " + gate_name + " must be a version gate (version.metric)";
    const api::GateStatus status = measure::judge_recorded(*gate, context, now_);
    if (status.verdict == "Passed" || gate->dry_run) continue;
    return "gate " + gate_name + " did not pass: " + status.message + claimed(*gate->version_metric, metrics);
  }
  return {};
}

// What training said of itself, where the evaluation says something else.
std::string Run::claimed(const std::string& metric, const Metrics& figures) const {
  const auto& result = out_.status.result;
  if (!result) return "";
  const auto told = result->metrics.find(metric), found = figures.find(metric);
  if (told == result->metrics.end() || found == figures.end() || told->second == found->second) return "";
  return " (training reported " + told->second + ")";
}

// retry.until: else it is trained once more.
bool Run::good_enough(const Metrics& figures, const Metrics& champion) {
  if (!spec_.retry) return true;
  const auto why = unsatisfied(spec_.retry->until, figures, champion, "the candidate");
  if (waiting_) return false;
  if (!why) return true;
  const std::string which = "attempt " + std::to_string(s().attempt) + " of " + std::to_string(spec_.retry->attempts) + ": " + *why;
  if (s().attempt >= spec_.retry->attempts) return end("Rejected", which), false;
  if (spec_.evaluate) close(stage("evaluate"), "Failed", *why);
  s().retry_at = now_ + spec_.retry->backoff;
  look_again(*s().retry_at);
  wait(which + "; the next attempt starts at " + format_time(*s().retry_at));
  out_.events.push_back({{Kind::TrainingRun, run_.meta.key}, run_.meta.uid, false, "RunTrainsAgain", s().message});
  return false;
}

void Run::set_score(const Metrics& figures) {
  std::string metric;
  if (spec_.trials) metric = spec_.trials->objective.metric;
  for (const std::string& gate_name : spec_.all_gates()) {
    const api::Gate* gate = metric.empty() && policy_.policy ? policy_.policy->gate(gate_name) : nullptr;
    if (gate && gate->version_metric && figures.count(*gate->version_metric)) metric = *gate->version_metric;
  }
  const auto found = figures.find(metric);
  if (found != figures.end()) s().score = found->second;
}

Run::Metrics Run::figures() {
  const api::StageStatus* evaluated = s().stage("evaluate");
  return evaluated && evaluated->phase == "Succeeded" ? evaluated->metrics : s().result->metrics;
}

void Run::register_version() {
  stage("register");
  const std::string& digest = s().result->artifact.digest;
  const std::string version = o_.version_name(digest);
  const Metrics figures = this->figures();
  const Ref<api::ModelVersion> record = own_version(version);
  if (!record) {
    run_.status = s();
    Json made = render_version(*o_.model, run_, figures, in_.stable);
    made["metadata"]["name"] = version;
    return apply(Kind::ModelVersion, std::move(made), "register the result of " + name());
  }
  if (record->bits() != digest) return end("Failed", "ModelVersion " + version + " exists with another digest");
  s().version = version;
  if (!figures.empty() && figures != record->figures() && !record->meta.deleting) {
    // The same bits, measured anew: the newest evaluation counts. Its watch tells when it is on record.
    out_.evaluated_version = version;
    out_.evaluation = {name(), now_, figures};
    out_.events.push_back({{Kind::Model, o_.key}, o_.model->meta.uid, false, "VersionEvaluated",
                           "run " + name() + " produced the same artifact as " + version +
                               " but reported other metrics; gates read these from now on (status.evaluation of the ModelVersion)"});
    return;
  }
  if (version == in_.stable) return end("Succeeded", "Unchanged: the run produced the same artifact as " + version + ", which serves");
  judge(*record);
}

Ref<api::ModelVersion> Run::own_version(const std::string& name) const {
  for (const auto& version : o_.versions)
    if (version->meta.key.name == name) return version;
  return nullptr;
}

Run::Metrics Run::recorded(const std::string& version) const {
  const Ref<api::ModelVersion> record = own_version(version);
  return record ? record->figures() : Metrics{};
}

void Run::judge(const api::ModelVersion& record) {
  s().champion = in_.stable;  // whatever took its place meanwhile
  const auto why = unsatisfied(spec_.gates, record.figures(), recorded(in_.stable), record.meta.key.name);
  if (waiting_) return;
  if (why) return reject(record, *why);
  const std::string& name = record.meta.key.name;
  if (in_.pinned || run_.on_success != api::Retraining::OnSuccess::Rollout) return end("Succeeded", "Registered: " + name);
  const std::string rollout = retraining_rollout_name(o_.key.name, name, in_.under_way.number);
  const bool there = std::any_of(o_.rollouts.begin(), o_.rollouts.end(),
                                 [&](const auto& r) { return r->meta.key.name == rollout; });
  const auto last = o_.last_rollout(name);
  const std::string same = "the run produced the same artifact as " + name + ", whose ModelRollout ";
  if (!there && last && (last->status.phase == "RolledBack" || last->status.phase == "Failed"))
    return end("Rejected", same + last->meta.key.name + " ended as " + last->status.phase + ": " + last->status.message);
  if (!there && !last && !record.failed_rollout.empty())
    return end("Rejected", same + record.failed_rollout + " failed: " + record.message);
  if (!there)
    return apply(Kind::ModelRollout, render_rollout(*o_.model, rollout, name, "retraining"), "roll out the result of " + this->name());
  end("Succeeded", "Registered: " + name + ", ModelRollout " + rollout);
}

// The run is over once the version itself says so, or a crash in between would leave it Registered.
void Run::reject(const api::ModelVersion& record, const std::string& why) {
  out_.rejected_version = record.meta.key.name;
  out_.rejected_message = why;
  if (record.phase == "Rejected" || record.phase == "Candidate" || record.phase == "Serving")
    end("Rejected", record.meta.key.name + ": " + why);
  else
    look_again(now_);
}

}  // namespace mo::training
