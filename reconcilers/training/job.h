// What a training run is made of and makes: the TrainingRun itself, its Jobs, the ModelVersion that it registers, the ModelRollout that
// it asks for. Pure.
#pragma once

#include <string>

#include "operator/core/result.h"
#include "operator/json/json.h"
#include "reconcilers/common/job.h"
#include "reconcilers/common/observed.h"
#include "reconcilers/serving/render.h"
#include "reconcilers/training/trials.h"

namespace mo::training {

inline constexpr const char* kTemplate = "spec.retraining.template";
inline constexpr const char* kValidateTemplate = "spec.retraining.validate.template";
inline constexpr const char* kEvaluateTemplate = "spec.retraining.evaluate.template";
inline constexpr const char* kQueueLabel = "kueue.x-k8s.io/queue-name";

// One Job of a run.
struct StageJob {
  std::string stage;  // validate | train | evaluate
  std::string name;   // of the Job
  int trial = 0;
  Parameters parameters = {};
  RawJson job_template = {};  // empty: the Model's for that stage
};

// From the Model's template for that stage, controlled by the run. Every container learns by its environment (which the template may
// override): MODELOPS_MODEL, MODELOPS_NAMESPACE, MODELOPS_VERSION (what serves now, may be empty), MODELOPS_RUN_ID (the TrainingRun's
// name), MODELOPS_TRIGGER, MODELOPS_STAGE, MODELOPS_TRIAL, MODELOPS_ATTEMPT, MODELOPS_SEED, MODELOPS_PARAM_<NAME>, MODELOPS_OUTPUT (a
// path of this Job's own to write the artifact under, below whatever volume the template mounts) and MODELOPS_RESULT (the file that
// takes the RunResult: the container's termination message). Errors as those of read_job().
Result<Json> render_job(const api::Model& model, const api::TrainingRun& run, const StageJob& part, const std::string& stable);

// Brings both artifacts, verified, to the containers of an evaluating Job and tells them the paths: MODELOPS_CANDIDATE_PATH and
// MODELOPS_CHAMPION_PATH (empty without a champion), MODELOPS_CANDIDATE_FORMAT and MODELOPS_CHAMPION_FORMAT,
// and MODELOPS_CHAMPION_PART_<NAME> for each of the champion's parts.
Result<void> mount_artifacts(Json& job, const api::Artifact& candidate, const api::ModelVersion* champion, const serving::Settings& settings);

// What each container of a Job is told, but for MODELOPS_RESULT.
Environment environment_of(const api::Model& model, const api::TrainingRun& run, const StageJob& part, const std::string& stable);

// The owner references of what a run makes.
Json owned_by(const api::TrainingRun& run);

// The variable that tells a parameter: MODELOPS_PARAM_LEARNING_RATE for learning_rate.
std::string parameter_variable(const std::string& name);

Json render_run(const api::Model& model, const api::RetrainingRun& run, const std::string& kind, const Parameters& parameters = {});

// The record of what the run made, with its lineage.
Json render_version(const api::Model& model, const api::TrainingRun& run, const std::map<std::string, std::string>& figures,
                    const std::string& stable);

// A ModelRollout that we write; `origin` is "spec" or "retraining".
Json render_rollout(const api::Model& model, const std::string& name, const std::string& version,
                    const std::string& origin);

}  // namespace mo::training
