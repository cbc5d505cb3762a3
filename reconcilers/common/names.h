// Names of the objects that the operator writes. They are deterministic, so that a repeated write is
// harmless.
#pragma once

#include <string>

#include "operator/api/types.h"
#include "operator/json/json.h"

namespace mo {

// "fraud-v2" -> "v2" for Model fraud; a version that isn't named after its Model keeps its whole name.
std::string version_suffix(const std::string& model, const std::string& version);
// Deployment of one version: <model>-<version suffix>.
std::string deployment_name(const std::string& model, const std::string& version);
std::string candidate_service_name(const std::string& model);
// ModelVersion of an inline or retrained artifact: <model>-<first 10 of the digest>.
std::string version_name_for(const std::string& model, const std::string& digest);
// The same with 14 digits, if a version with another digest has that name; see Observed::version_name().
std::string long_version_name_for(const std::string& model, const std::string& digest);
// ModelRollout for the spec of this generation.
std::string spec_rollout_name(const std::string& model, const std::string& version, int64_t generation);
// ModelRollout for the result of a retraining run.
std::string retraining_rollout_name(const std::string& model, const std::string& version, int64_t run);
// TrainingRun created by the operator: <model>-run-<number>.
std::string training_run_name(const std::string& model, int64_t run);
// Job of one part of a TrainingRun, such as train or train-t3: <run>-<part>, shortened where that is too long for a label.
std::string run_job_name(const std::string& run, const std::string& part);
// Job of a run, as operators named it before there were TrainingRuns.
std::string old_run_job_name(const std::string& model, int64_t run);

// ModelRollout to `revision`, for a ModelRuntime of this generation.
std::string runtime_rollout_name(const std::string& model, const std::string& version, const std::string& runtime_uid, int64_t generation,
                                 const std::string& revision);

}  // namespace mo
