// One TrainingRun on its way: validate -> train -> evaluate -> register. Pure.
//
// A stage is on record (with the name of its Job) before its Job is made, and its result is on record before the next stage begins: a
// crash anywhere between repeats the same Job, never a second one. The end is on record once everything that it led to is seen to exist.
// A stage is made of the Model's spec as it is when that stage begins.
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
  bool pinned = false;                  // the Model rolls out nothing by itself
  std::string cancel;                   // why it is to end now; empty: it goes on
  const serving::Settings& settings;
};

// Its problem is what keeps it, for the Model's conditions.
struct RunPlan : Part {
  api::TrainingRunStatus status;
  std::string told;  // what a Model says of it in one line; empty: it gets on
  // A version whose recorded metrics did not pass, and why; and one that was made once more, with other figures.
  std::string rejected_version, rejected_message, evaluated_version;
  api::Evaluation evaluation;
};

// Of a run that is not over.
RunPlan advance(const RunInput& input, TimePoint now);

Json render_status(const api::TrainingRun& run, const api::TrainingRunStatus& status, TimePoint now);

}  // namespace mo::training
