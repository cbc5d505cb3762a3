// Continuous training: which trigger fires, which TrainingRun is under way, and what a Model remembers of it. Pure.
//
// A firing is written to status (a run with a number) before its TrainingRun is made, which is named after the number: a crash anywhere
// between repeats the same run, never a second one. A run is closed in the Model's status once its own status says how it ended.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "reconcilers/common/observed.h"
#include "reconcilers/common/part.h"
#include "reconcilers/rollout/policy.h"
#include "reconcilers/serving/render.h"
#include "reconcilers/training/run.h"

namespace mo::training {

// Its problem is shown as Stalled: a template or schedule that cannot be used, or gates without which no run can be judged.
struct Planned : Part {
  api::RetrainingStatus status;
  using StatusWrite = std::pair<Ref<api::TrainingRun>, api::TrainingRunStatus>;  // whose status may have changed
  std::optional<StatusWrite> run;   // the one under way: before anything that follows from it
  std::vector<StatusWrite> others;  // as many as people have written: after all else
  // A version whose recorded metrics did not pass, and why.
  std::string rejected_version, rejected_message;
  bool started = false;  // a run starts now, which answers whatever asked for one
  // A version that a run made once more, with other figures: they go to its status before it is judged by them.
  std::string evaluated_version;
  api::Evaluation evaluation;
};

// `stable` is the version that serves ("" if none). `pinned`: a version that passes is only registered, whatever onSuccess says.
// `monitors`: those that are breached and ask for a run, by name.
Planned plan(const Observed& observed, const rollout::Policy& policy, const std::string& stable, bool pinned,
             const std::vector<std::string>& monitors, const serving::Settings& settings, TimePoint now);

}  // namespace mo::training
