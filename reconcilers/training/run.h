// The stages of one TrainingRun: validate -> train -> evaluate -> register. Pure.
//
// A stage is stored with the name of its Job before the Job is created, and its result is stored before the next stage starts. So after
// a crash the same Job is repeated, never a second one. The end is stored once everything that it created is observed.
// A stage uses the Model's spec of the time when it starts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reconcilers/common/observed.h"
#include "reconcilers/common/part.h"
#include "reconcilers/rollout/policy.h"
#include "reconcilers/serving/render.h"

namespace mo::training {

inline constexpr size_t kResultKept = 1024;     // bytes of a message in status
inline constexpr size_t kMetricsOfTrial = 16;   // of each trial in status
inline constexpr size_t kLargestLineage = 64 << 10;

struct RunInput {
  const Observed& observed;
  const rollout::Policy& policy;
  const api::TrainingRun& run;
  const api::RetrainingRun& under_way;  // of the Model's status
  const std::string& stable;            // the version that serves ("" if none)
  bool pinned = false;                  // results are only registered
  std::string cancel;                   // why it must end now; empty: it continues
  const serving::Settings& settings;
};

// Its problem is why the run is blocked, for the Model's conditions.
struct RunPlan : Part {
  api::TrainingRunStatus status;
  std::string told;  // one line for the Model's status; empty: it makes progress
  // A version whose recorded metrics did not pass, and why; and an existing one that was produced again with other metrics.
  std::string rejected_version, rejected_message, evaluated_version;
  api::Evaluation evaluation;
};

// Of a run that is not over.
RunPlan advance(const RunInput& input, TimePoint now);

Json render_status(const api::TrainingRun& run, const api::TrainingRunStatus& status, TimePoint now);

}  // namespace mo::training
