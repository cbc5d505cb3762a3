// What a retraining run is made of and makes: its Job, the ModelVersion it registers, the ModelRollout it
// asks for.
#pragma once

#include <string>

#include "operator/api/run_result.h"
#include "operator/core/result.h"
#include "operator/json/json.h"
#include "reconcilers/common/observed.h"

namespace mo::retraining {

inline constexpr const char* kTemplate = "spec.retraining.template";

// From spec.retraining.template. Every container learns by its environment (which the template may override):
// MODELOPS_MODEL, MODELOPS_NAMESPACE, MODELOPS_VERSION (what serves now, may be empty), MODELOPS_RUN_ID (the
// Job's name), MODELOPS_TRIGGER, MODELOPS_OUTPUT (a path of this run's own to write the artifact under, below
// whatever volume the template mounts) and MODELOPS_RESULT (the file that takes the RunResult: the
// container's termination message). Errors as those of read_job().
Result<Json> render_job(const api::Model& model, const api::RetrainingRun& run, const std::string& stable);

// The record of what the run made, with its lineage.
Json render_version(const api::Model& model, const api::RunResult& result, const api::RetrainingRun& run,
                    const api::Job& job, const std::string& stable);

// A ModelRollout that we write; `origin` is "spec" or "retraining".
Json render_rollout(const api::Model& model, const std::string& name, const std::string& version,
                    const std::string& origin);

}  // namespace mo::retraining
