#include "reconcilers/common/conditions.h"
#include "reconcilers/common/names.h"
#include "reconcilers/training/run.h"

namespace mo::training {
namespace {

void put(Json& out, const char* name, const std::optional<TimePoint>& t) {
  if (t) out[name] = format_time(*t);
}
void put(Json& out, const char* name, const std::string& text) {
  if (!text.empty()) out[name] = text;
}
void put(Json& out, const char* name, const std::map<std::string, std::string>& values) {
  if (!values.empty()) out[name] = values;
}
void put_job(Json& out, const std::string& name, const std::string& uid) {
  if (name.empty()) return;
  out["job"] = {{"name", name}};
  put(out["job"], "uid", uid);
}

Json stage_json(const api::StageStatus& stage) {
  Json out = {{"name", stage.name}, {"phase", stage.phase}};
  put_job(out, stage.job, stage.job_uid);
  put(out, "startedAt", stage.started);
  put(out, "finishedAt", stage.finished);
  put(out, "metrics", stage.metrics);
  put(out, "message", stage.message);
  return out;
}

Json trial_json(const api::TrialStatus& trial) {
  Json out = {{"attempt", trial.attempt}, {"index", trial.index}, {"phase", trial.phase}};
  put(out, "parameters", trial.parameters);
  put_job(out, trial.job, trial.job_uid);
  if (!trial.workload.empty())
    out["workload"] = {{"apiVersion", trial.workload.api_version}, {"kind", trial.workload.kind}, {"resource", trial.workload.resource}};
  put(out, "startedAt", trial.started);
  put(out, "finishedAt", trial.finished);
  put(out, "metrics", trial.metrics);
  put(out, "message", trial.message);
  return out;
}

Json result_json(const api::TrainedResult& result) {
  Json out = {{"trial", result.trial}, {"artifact", to_json(result.artifact)}};
  put(out, "metrics", result.metrics);
  if (auto lineage = parse_json(result.lineage, kLargestLineage * 2); lineage && !lineage->empty()) out["lineage"] = std::move(*lineage);
  put(out, "image", result.image);
  return out;
}

void put_conditions(Json& out, const api::TrainingRun& run, const api::TrainingRunStatus& s, TimePoint now) {
  const bool good = s.phase == "Succeeded", over = s.finished.has_value();
  Conditions conditions(run.status.conditions, run.meta.generation, now);
  conditions.set("Ready", {good, s.phase, s.message});
  conditions.set("Reconciling", {!over, s.phase, over ? "" : s.message});
  conditions.set("Stalled", {over && !good, s.phase, over && !good ? s.message : ""});
  conditions.set("Complete", {over, s.phase, ""});
  conditions.set("Succeeded", {good, s.phase, s.message});
  out["conditions"] = to_json(conditions.get());
}

}  // namespace

Json render_status(const api::TrainingRun& run, const api::TrainingRunStatus& s, TimePoint now) {
  Json out = {{"observedGeneration", s.observed_generation}, {"phase", s.phase}, {"message", s.message}};
  if (s.attempt > 0) {
    out["attempt"] = s.attempt;
    out["seed"] = s.seed;
  }
  for (const api::StageStatus& stage : s.stages) out["stages"].push_back(stage_json(stage));
  if (!s.stages.empty()) out["stage"] = s.stages.back().name;
  for (const api::TrialStatus& trial : s.trials) out["trials"].push_back(trial_json(trial));
  if (s.result) out["result"] = result_json(*s.result);
  put(out, "champion", s.champion);
  put(out, "version", s.version);
  put(out, "score", s.score);
  put(out, "startedAt", s.started);
  put(out, "finishedAt", s.finished);
  put(out, "retryAt", s.retry_at);
  if (s.job_seconds > 0) out["jobSeconds"] = s.job_seconds;
  put_conditions(out, run, s, now);
  return out;
}

}  // namespace mo::training
