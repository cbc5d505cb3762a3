// Monitors: figures of the serving version that are measured all the time. Pure.
//
//   NoData -> OK <-> Pending -> Breached -> OK
//
// A figure that is bad without interruption for `for` is a breach; one that is good for recoverAfter ends
// it. No data is neither: it resets both clocks and ends no breach.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/json/json.h"
#include "reconcilers/common/observed.h"
#include "reconcilers/common/part.h"
#include "reconcilers/measure/gates.h"

namespace mo::monitors {

// Its actions are the ModelRollouts that roll the Model back; its problem is what is wrong with a set of monitors (sets.h).
struct Decision : Part {
  std::vector<api::MonitorStatus> status;  // in the order of sets.h
  std::vector<Action> jobs;                // of monitors that measure by Jobs; nothing else waits for them
  std::vector<std::string> retrain;  // breached monitors with action Retrain, by name
  std::string hold;                  // why rollouts must not advance, a sentence; empty: they may
};

// `stable` is the version that serves ("" if none).
Decision watch(const Observed& observed, const std::string& stable, TimePoint now);

// Where a monitor begins on a version: its state is of that version alone.
api::MonitorStatus begin(const std::string& name, const std::string& version, TimePoint now);
// What one measurement makes of a monitor's state.
api::MonitorStatus take_in(const api::Monitor& monitor, const api::MonitorStatus& before, const measure::Measured& measured,
                           TimePoint at);

// Condition Healthy, for a Model that has monitors or names sets of them. `problem`: what is wrong with a set, for this reason.
struct Health {
  bool healthy = false;
  std::string reason, message;
};
Health health_of(const std::vector<api::MonitorStatus>& monitors, const std::string& problem_reason = {}, const std::string& problem = {});

}  // namespace mo::monitors
