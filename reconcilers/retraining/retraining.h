// Continuous training: which trigger fires, the Job that runs, and what becomes of its result. Pure.
//
// A firing is written to status (a run with a number) before its Job is made, and the Job is named after the
// number: a crash anywhere between repeats the same Job, never a second one. A run is closed in status only
// once everything that it led to is seen to exist.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reconcilers/common/observed.h"
#include "reconcilers/rollout/policy.h"

namespace mo::retraining {

struct Planned {
  api::RetrainingStatus status;
  std::vector<Action> actions;  // to run after status is written
  std::vector<Ask> asks;
  std::vector<Event> events;
  std::optional<TimePoint> look_again;
  // Shown as Stalled: a template or schedule that cannot be used, or gates without which no run can be judged.
  std::string problem_reason, problem;
  // A version whose recorded metrics did not pass, and why.
  std::string rejected_version, rejected_message;
  bool started = false;  // a run starts now, which answers whatever asked for one
  // A version that a run made once more, with other figures: they go to its status before it is judged by them.
  std::string evaluated_version;
  api::Evaluation evaluation;
};

// `stable` is the version that serves ("" if none). `rolls_out`: a version that passes becomes a
// ModelRollout, else it is only registered. `monitors`: those that are breached and ask for a run, by name.
Planned plan(const Observed& observed, const rollout::Policy& policy, const std::string& stable,
             bool rolls_out, const std::vector<std::string>& monitors, TimePoint now);

}  // namespace mo::retraining
