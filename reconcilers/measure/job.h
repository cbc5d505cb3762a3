// The Jobs of gates. Pure.
#pragma once

#include "operator/core/result.h"
#include "operator/json/json.h"
#include "reconcilers/common/job.h"
#include "reconcilers/measure/gates.h"

namespace mo::measure {

// How many finished Jobs of each gate stay, beside the one that is being measured by.
inline constexpr size_t kFinishedJobsKept = 3;

// The same for the same measurement, so that a repeat of the write is harmless. At most 63 characters: it begins with the Model and the
// gate, for people, and ends with 24 digits of a hash.
std::string gate_job_name(const std::string& model, const std::string& gate, const std::string& ask_id);

// From the gate's template. Every container learns by its environment: MODELOPS_MODEL, MODELOPS_NAMESPACE,
// MODELOPS_VERSION (the candidate), MODELOPS_STABLE_VERSION, MODELOPS_CANDIDATE_URL, MODELOPS_STABLE_URL,
// MODELOPS_RUN_ID and MODELOPS_RESULT (the file for the RunResult). One that says nothing of it ends after `deadline`
// and is kept for an hour.
Result<Json> render_gate_job(const api::Model& model, const api::Gate& gate, const std::string& name,
                             const api::ModelRollout& rollout, const std::string& stable, Duration deadline);

// A Job that measures `figure`, of what has that UID (a ModelRollout, or for a monitor the Model itself).
Result<Json> render_measuring_job(const api::Model& model, const api::Gate& figure, const std::string& name, const std::string& uid,
                                  const Environment& environment, Duration deadline);

// Removes, of the gates that are measured now (`measuring`: by name, with the Job that is or will be measured by), Jobs that nobody waits
// for any more and all but the last few that are over. What they said is on record, since a gate measures by one Job at a time.
std::vector<Action> tidy_gate_jobs(const std::map<std::string, Ref<api::Job>>& jobs, const std::string& rollout_uid,
                                   const std::map<std::string, std::string>& measuring);

}  // namespace mo::measure
