// The phase of a ModelVersion. Pure.
#pragma once

#include <optional>
#include <string>

#include "operator/json/json.h"
#include "reconcilers/common/observed.h"

namespace mo::version {

struct Role {
  std::string stable;                      // the Model's versions after this plan
  std::string candidate;                   // of the rollout under way
  std::string rejected, rejected_message;  // by the gates of a retraining run
  std::string evaluated;                   // which one a retraining run has measured anew
  api::Evaluation evaluation;
  bool retired = false;                    // the Model: `stable` served last, nothing of it serves any more
};

// The new status, or nothing if it stays as it is. Phases: Registered -> Candidate -> Serving -> Superseded or, with its Model, Retired;
// Rejected after a rollout that failed on evidence.
std::optional<Json> next_status(const api::ModelVersion& version, const Role& role, const Observed& observed,
                                TimePoint now);

}  // namespace mo::version
