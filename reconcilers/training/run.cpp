#include "reconcilers/training/running.h"

#include <algorithm>

#include "operator/core/text.h"
#include "reconcilers/training/import.h"
#include "reconcilers/training/workload.h"

namespace mo::training {

Run::Run(const RunInput& in, TimePoint now)
    : in_(in),
      o_(in.observed),
      imports_(import_of(*in.observed.model->retraining, in.run.trigger)),
      reduced_(imports_ ? std::optional(for_import(*in.observed.model->retraining)) : std::nullopt),
      spec_(imports_ ? *reduced_ : *in.observed.model->retraining),
      policy_(in.policy),
      now_(now) {
  run_ = in.run;
  out_.status = run_.status;
}

RunPlan Run::advance() {
  s().observed_generation = run_.meta.generation;
  begin();
  if (!stopped() && !waits_for_retry()) {
    go();
    tidy();
  }
  tell();
  if (ended()) end_what_runs();
  return std::move(out_);
}

// The number behind the name is as good a beginning as any, and the same after a crash.
void Run::begin() {
  if (s().attempt > 0) return;
  s().attempt = 1;
  s().started = now_;
  s().seed = run_.seed.value_or(in_.under_way.number);
  s().champion = in_.stable;
  if (in_.under_way.job.empty()) return;
  // The Job of a run that an operator before TrainingRuns started.
  stage("train").started = in_.under_way.started;
  api::TrialStatus trial;
  trial.phase = "Running";
  trial.job = in_.under_way.job;
  trial.job_uid = in_.under_way.job_uid;
  trial.started = in_.under_way.started;
  s().trials = {trial};
}

void Run::end(const std::string& phase, const std::string& message) {
  if (ended_) return;
  ended_ = true;
  count_what_runs();
  count_time(std::exchange(measured_, nullptr));
  s().phase = phase;
  s().message = whole_characters(message, kResultKept);
  s().finished = now_;
  s().retry_at.reset();
  for (api::StageStatus& stage : s().stages)
    if (stage.phase == "Running") close(stage, phase == "Succeeded" ? "Succeeded" : "Failed", phase == "Succeeded" ? "" : message);
  for (api::TrialStatus& trial : s().trials)
    if (trial.phase == "Running" || trial.phase == "Pending") trial.phase = "Failed";
  out_.events.push_back({{Kind::TrainingRun, run_.meta.key}, run_.meta.uid, phase != "Succeeded", "Run" + phase, s().message});
}

// Whatever it is doing. Its Jobs go once that is on record.
bool Run::stopped() {
  if (run_.desired_state == "Cancelled") return end("Cancelled", "desiredState is Cancelled"), true;
  if (!in_.cancel.empty()) return end("Cancelled", in_.cancel), true;
  if (run_.trigger_kind == "Registry" && !imports_)
    return end("Failed", "trigger " + run_.trigger + ", from whose registry it imports, was removed from spec.retraining"), true;
  // Before validation is paid for.
  const std::string barred = spec_.workload && !imports_ && s().stages.empty() ? not_allowed(*spec_.workload, run_) : "";
  if (!barred.empty()) return end("Failed", barred), true;
  if (!spec_.deadline) return false;
  const TimePoint until = *s().started + *spec_.deadline;
  if (now_ < until) return look_again(until), false;
  const std::string at = s().stages.empty() ? "" : " in stage " + s().stages.back().name;
  end("Failed", "it did not finish" + at + " within limits.deadline " + format_duration(*spec_.deadline));
  return true;
}

bool Run::waits_for_retry() {
  if (!s().retry_at) return false;
  if (now_ < *s().retry_at) return look_again(*s().retry_at), true;
  s().retry_at.reset();
  ++s().attempt;
  ++s().seed;
  s().result.reset();
  std::erase_if(s().stages, [](const api::StageStatus& stage) { return stage.name != "validate"; });
  return false;
}

void Run::go() {
  run_.status = s();  // what Jobs are told of attempt and seed
  if (spec_.validate && !s().stage("train") && !done("validate") && !validate()) return;
  if (!done("train") && !train()) return;
  if (spec_.evaluate && !done("evaluate") && !evaluate()) return;
  if (!spec_.evaluate && !s().stage("register") && !good_enough(s().result->metrics, recorded(s().champion))) return;
  register_version();
}

bool Run::done(const std::string& name) const {
  const api::StageStatus* stage = out_.status.stage(name);
  return stage && stage->phase == "Succeeded";
}

api::StageStatus& Run::stage(const std::string& name) {
  for (api::StageStatus& stage : s().stages)
    if (stage.name == name) return stage;
  api::StageStatus stage;
  stage.name = name;
  stage.phase = "Running";
  stage.started = now_;
  s().stages.push_back(std::move(stage));
  return s().stages.back();
}

void Run::close(api::StageStatus& stage, const std::string& phase, const std::string& message) {
  stage.phase = phase;
  stage.message = whole_characters(message, kResultKept);
  stage.finished = now_;
  count_time(std::exchange(measured_, nullptr));
}

bool Run::validate() {
  api::StageStatus& stage = this->stage("validate");
  doing_ = "Validating";
  const auto result = stage_result(stage, "validate");
  if (!result) return false;
  stage.metrics = result->metrics;
  const auto why = unsatisfied(spec_.validate->gates, result->metrics, {}, "the data");
  if (waiting_) return false;
  if (why) {
    end("Rejected", "validation rejected the data: " + *why);
    return false;
  }
  close(stage, "Succeeded", "");
  return true;
}

// The figures of both, by a Job that trained neither.
bool Run::evaluate() {
  doing_ = "Evaluating";
  api::StageStatus& stage = this->stage("evaluate");
  if (stage.job.empty()) s().champion = in_.stable;
  const auto result = stage_result(stage, "evaluate");
  if (!result) return false;
  if (result->metrics.empty()) {
    end("Failed", "Job " + stage.job + " finished the evaluation but reported no metrics");
    return false;
  }
  if (!good_enough(result->metrics, result->champion_metrics)) return false;
  stage.metrics = result->metrics;
  const auto why = unsatisfied(spec_.evaluate->gates, result->metrics, result->champion_metrics, "the candidate");
  if (waiting_) return false;
  if (why) {
    end("Rejected", *why);
    return false;
  }
  set_score(result->metrics);
  close(stage, "Succeeded", s().champion.empty() ? "" : "compared with " + s().champion);
  return true;
}

// Of a stage that is one Job, which makes no artifact.
std::optional<api::RunResult> Run::stage_result(api::StageStatus& stage, const std::string& which) {
  const std::string part = s().attempt > 1 && which != "validate" ? which + "-a" + std::to_string(s().attempt) : which;
  if (stage.job.empty()) stage.job = run_job_name(name(), part);
  const Seen seen = follow(stage.job, stage.job_uid, {which, stage.job, s().result ? s().result->trial : 0, run_.parameters});
  if (seen.is == Is::Waits) return {};
  measured_ = seen.job;
  if (seen.is == Is::Failed) {
    end("Failed", seen.why);
    return {};
  }
  const auto text = text_of(*seen.job);
  if (!text) return {};
  Result<api::RunResult> result = *text ? api::parse_run_result(**text, true) : fail(text->error());
  if (!result) {
    end("Failed", "Job " + stage.job + ": " + result.error().message);
    return {};
  }
  return std::move(*result);
}

void Run::wait(const std::string& message) {
  waiting_ = true;
  s().message = whole_characters(message, kResultKept);
}

void Run::tell() {
  if (ended()) return;
  const bool queued = !queued_.empty() && !runs_;
  if (!doing_.empty()) s().phase = queued ? "Queued" : doing_;
  if (s().phase.empty()) s().phase = "Pending";
  if (waiting_ || s().retry_at) {
    out_.told = s().retry_at ? "Running: " + s().message : s().message;
    return;
  }
  const std::string held = spec_.kueue.empty() ? "something set spec.suspend to true" : "LocalQueue " + spec_.kueue + " has not admitted it" + (why_queued_.empty() ? "" : ": " + why_queued_);
  const std::string why = queued ? queued_ + " is suspended: " + held : trouble_;
  s().message = whole_characters(why.empty() ? progress() : why, kResultKept);
  if (!why.empty()) out_.told = (queued ? "Queued: " : "Running: ") + s().message;
}

std::string Run::progress() {
  if (s().stages.empty()) return "";
  const api::StageStatus& stage = s().stages.back();
  if (stage.name == "register") return "registering the ModelVersion";
  if (stage.name != "train") return "Job " + stage.job + " is running";
  int all = 0, over = 0;
  std::string job;
  for (const api::TrialStatus& trial : s().trials) {
    if (trial.attempt != s().attempt) continue;
    ++all;
    over += trial.phase == "Succeeded" || trial.phase == "Failed";
    job = trial.workload.empty() ? "Job " + trial.job : name_of(trial);
  }
  if (all == 1) return job + " is running";
  return std::to_string(over) + " of " + std::to_string(all) + " trials have finished";
}

RunPlan advance(const RunInput& input, TimePoint now) { return Run(input, now).advance(); }

}  // namespace mo::training
