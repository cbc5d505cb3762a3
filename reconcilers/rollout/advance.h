// One rollout, one step of time: from its status, the people's word on it and what serving looks like to its
// next status. Pure.
//
//   Pending -> Progressing <-> Paused -> (Baking) -> Succeeded
//                  \-> (ending: traffic goes back) -> RolledBack | Aborted | Superseded | Failed
//
// What is decided here is written to status before anything acts on it: weights follow the persisted step,
// never run ahead of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reconcilers/common/observed.h"
#include "reconcilers/common/part.h"
#include "reconcilers/serving/serving_state.h"

namespace mo::rollout {

// How long a rollback waits for stable's pods before the candidate loses its traffic regardless of
// capacity.
inline constexpr Duration kDrainLimit = std::chrono::seconds(60);

struct Input {
  const api::ModelRollout& rollout;
  const api::RolloutPolicy& policy;  // the Model's, with its sets' gates; taken as the snapshot at the start
  std::string stable;                // the Model's stable version, empty for a first version
  serving::ServingState serving_state;
  const std::map<std::string, std::string>* candidate_metrics = nullptr;
  const std::map<std::string, std::string>* stable_metrics = nullptr;
  const std::map<std::string, Answer>& answers;
  const std::map<std::string, Ref<api::Job>>& jobs;
  std::string superseded_by;  // set: end it, with this sentence
  std::vector<ObjectKey> gateways = {};  // of the Model's route
  std::map<std::string, std::string> job_troubles = {};  // why a Job makes no progress, by its name
  std::string digest = {}, stable_digest = {};  // artifact digests of both versions; empty: unknown
  std::string spec_hash = {};                   // of the Model's spec.rollout
  bool served_before = false;                   // the candidate had all traffic before
  std::optional<api::GovernanceRecord> governance = {};  // requirements of ModelPolicies, copied at the start
  const std::vector<Ref<api::ModelApproval>>* approvals = nullptr;  // of the Model's rollouts
  std::string freeze = {};                      // why rollouts are frozen, a sentence; empty: they are not
  std::optional<TimePoint> freeze_until = {};
  // Both revisions; the candidate's is empty while its template is invalid.
  std::optional<api::Revision> revision = {}, stable_revision = {};
  std::string hold = {};                        // why it does not go on, a sentence; empty: it may. Promoted and Aborted work all the same
};

struct Advanced : Part {
  api::RolloutStatus status;
  std::map<std::string, const api::Gate*> jobs;  // to start: name -> gate of status.policy
  std::map<std::string, std::string> measuring;  // the gates that are measured by Jobs now: name -> Job
  std::string job_taken;                         // a Job of that name is there, and is not of the gate
  serving::TrafficTarget target;                 // what serving is to do now
};

bool is_over(const std::string& phase);

Advanced advance(const Input& input, TimePoint now);

}  // namespace mo::rollout
