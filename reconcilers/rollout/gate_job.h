// The Jobs of gates. Pure.
#pragma once

#include "operator/core/result.h"
#include "operator/json/json.h"
#include "reconcilers/rollout/gates.h"

namespace mo::rollout {

// The same for the same measurement, so that a repeat of the write is harmless.
std::string gate_job_name(const std::string& model, const std::string& gate, const std::string& ask_id);

// From the gate's template. Every container learns by its environment: MODELOPS_MODEL, MODELOPS_NAMESPACE,
// MODELOPS_VERSION (the candidate), MODELOPS_STABLE_VERSION, MODELOPS_CANDIDATE_URL, MODELOPS_STABLE_URL,
// MODELOPS_RUN_ID and MODELOPS_RESULT (the file that takes the RunResult). One that says nothing of it ends after `deadline`
// and is kept for a day.
Result<Json> render_gate_job(const api::Model& model, const api::Gate& gate, const std::string& name,
                             const api::ModelRollout& rollout, const std::string& stable, Duration deadline);

}  // namespace mo::rollout
