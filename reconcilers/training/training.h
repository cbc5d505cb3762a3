// Retraining: which trigger fires, the current TrainingRun, and status.retraining of the Model. Pure.
//
// A new run is written to status with its number before its TrainingRun is created, which is named after the number. So after a crash
// the same run is repeated, never a second one. A run is closed in the Model's status once its own status has ended.
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
  using ChangedRun = std::pair<Ref<api::TrainingRun>, api::TrainingRunStatus>;  // a run and its new status
  std::optional<ChangedRun> run;   // the current run; written before its effects
  std::vector<ChangedRun> others;  // runs created by people; written last
  // A version whose recorded metrics did not pass, and why.
  std::string rejected_version, rejected_message;
  bool started = false;  // a run starts now, for all triggers that fired
  // An existing version that a run produced again, with other metrics: these are written to its status before gates read them.
  std::string evaluated_version;
  api::Evaluation evaluation;
};

// `stable` is the version that serves ("" if none). `pinned`: a version that passes is only registered, independent of onSuccess.
// `monitors`: breached monitors with action Retrain, by name.
Planned plan(const Observed& observed, const rollout::Policy& policy, const std::string& stable, bool pinned,
             const std::vector<std::string>& monitors, const serving::Settings& settings, TimePoint now);

}  // namespace mo::training
