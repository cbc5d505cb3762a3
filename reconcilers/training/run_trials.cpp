#include "reconcilers/training/running.h"

#include <algorithm>

#include "operator/core/text.h"
#include "reconcilers/common/names.h"
#include "reconcilers/training/import.h"
#include "reconcilers/training/workload.h"

namespace mo::training {

bool Run::train() {
  doing_ = "Training";
  stage("train");
  if (!expand_trials()) return false;
  int running = 0;
  for (api::TrialStatus& trial : s().trials) {
    if (trial.attempt != s().attempt || trial.phase != "Running") continue;
    follow_trial(trial);
    if (ended()) return false;
    running += trial.phase == "Running";
  }
  const int side_by_side = spec_.trials ? std::max(1, spec_.trials->parallelism) : 1;
  for (api::TrialStatus& trial : s().trials) {
    if (trial.attempt != s().attempt || trial.phase != "Pending" || running >= side_by_side) continue;
    trial.phase = "Running";
    trial.started = now_;
    trial.job = run_job_name(name(), part_of(trial));
    if (spec_.workload && !imports_) trial.workload = ref_of(*spec_.workload);
    ++running;
    follow_trial(trial);
    if (ended()) return false;
  }
  return running == 0 && trained();
}

std::string Run::part_of(const api::TrialStatus& trial) const {
  std::string part = "train";
  if (trial.attempt > 1) part += "-a" + std::to_string(trial.attempt);
  if (spec_.trials) part += "-t" + std::to_string(trial.index);
  return part;
}

bool Run::expand_trials() {
  const auto& trials = s().trials;
  if (std::any_of(trials.begin(), trials.end(), [&](const auto& t) { return t.attempt == s().attempt; })) return true;
  const Result<std::vector<Parameters>> sets = expand(spec_.trials, run_.parameters, s().seed);
  if (!sets) return end("Failed", sets.error().message), false;
  for (size_t i = 0; i < sets->size(); ++i) {
    api::TrialStatus trial;
    trial.attempt = s().attempt;
    trial.index = static_cast<int>(i);
    trial.parameters = (*sets)[i];
    trial.phase = "Pending";
    s().trials.push_back(std::move(trial));
  }
  // Of attempts before, as many as there is room for.
  if (trials.size() > api::kMostTrials)
    s().trials.erase(s().trials.begin(), s().trials.end() - std::max<std::ptrdiff_t>(api::kMostTrials, sets->size()));
  return true;
}

void Run::follow_trial(api::TrialStatus& trial) {
  if (!trial.workload.empty()) return follow_workload(trial);
  const Seen seen = follow(trial.job, trial.job_uid, {"train", trial.job, trial.index, trial.parameters});
  if (seen.is == Is::Waits || ended()) return;
  if (seen.is == Is::Failed) {
    std::optional<Result<std::string>> words = Result<std::string>("");
    if (imports_ && seen.job && seen.job->failed) words = text_of(*seen.job);
    if (!words) return;  // what the importing program said is on its way
    count_time(seen.job);
    return fail_trial(trial, seen.why + (*words && !(*words)->empty() ? ": " + api::excerpt(**words, kResultKept) : ""));
  }
  const auto text = text_of(*seen.job);
  if (!text) return;
  count_time(seen.job);
  const Result<api::RunResult> result = !*text     ? fail(text->error())
                                        : imports_ ? read_import(*imports_->mlflow, **text)
                                                   : api::parse_run_result(**text);
  if (!result) return fail_trial(trial, result.error().message);
  // What an import ran in says nothing of what the version was made in.
  take_result(trial, *result, imports_ ? "" : seen.job->image);
}

void Run::fail_trial(api::TrialStatus& trial, const std::string& why) {
  trial.phase = "Failed";
  trial.finished = now_;
  trial.message = whole_characters(why, kResultKept);
}

void Run::take_result(api::TrialStatus& trial, const api::RunResult& result, const std::string& image) {
  if (spec_.trials && !result.metrics.count(spec_.trials->objective.metric))
    return fail_trial(trial, "it reported no metric " + spec_.trials->objective.metric + ", which trials.objective needs");
  const std::string lineage = result.lineage.dump();
  if (lineage.size() > kLargestLineage)
    return fail_trial(trial, "the RunResult's lineage has " + std::to_string(lineage.size()) + " bytes, but at most " +
                                 std::to_string(kLargestLineage) + " are kept");
  trial.phase = "Succeeded";
  trial.finished = now_;
  if (spec_.trials) trial.metrics[spec_.trials->objective.metric] = result.metrics.at(spec_.trials->objective.metric);
  for (const auto& [name, value] : result.metrics)
    if (trial.metrics.size() < kMetricsOfTrial) trial.metrics.emplace(name, value);
  if (!is_better(trial.index, result.metrics)) return;
  s().result = api::TrainedResult{trial.index, result.artifact, result.metrics, lineage, image};
}

// Of equal ones the first, in whatever order they end.
bool Run::is_better(int index, const Metrics& metrics) const {
  const auto& best = out_.status.result;
  if (!best || !spec_.trials) return true;
  const auto& objective = spec_.trials->objective;
  const auto ours = Decimal::parse(metrics.at(objective.metric));
  const auto held = best->metrics.find(objective.metric);
  const auto theirs = held == best->metrics.end() ? std::nullopt : Decimal::parse(held->second);
  if (!theirs || !ours) return !theirs;
  const bool minimize = objective.goal == api::Trials::Objective::Goal::Minimize;
  if (*ours < *theirs) return minimize;
  if (*theirs < *ours) return !minimize;
  return index < best->trial;
}

bool Run::trained() {
  size_t all = 0;
  std::string first_failure;
  for (const api::TrialStatus& trial : s().trials) {
    if (trial.attempt != s().attempt) continue;
    ++all;
    if (first_failure.empty() && trial.phase == "Failed") first_failure = trial.message;
  }
  if (!s().result) {
    end("Failed", all == 1 ? first_failure : "none of " + std::to_string(all) + " trials succeeded, the first: " + first_failure);
    return false;
  }
  api::StageStatus& stage = this->stage("train");
  stage.metrics = s().result->metrics;
  set_score(s().result->metrics);
  close(stage, "Succeeded",
        spec_.trials ? "trial " + std::to_string(s().result->trial) + " of " + std::to_string(all) + " is the best: " +
                           spec_.trials->objective.metric + " " + s().score
                     : "");
  return true;
}

}  // namespace mo::training
