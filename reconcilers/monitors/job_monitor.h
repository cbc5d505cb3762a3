// Monitors that measure by Jobs: one Job at a time for each, its name on record before it is made, its result taken in
// once. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reconcilers/common/observed.h"
#include "reconcilers/measure/gates.h"

namespace mo::monitors {

struct JobMeasurement {
  api::MonitorStatus status;  // `before`, with which Job measures
  std::optional<measure::Measured> measured;
  TimePoint measured_at{};
  std::vector<Action> actions;
  std::optional<Ask> ask;
  std::optional<TimePoint> look_again;
};

// `before` is of the version that serves, which is what is measured.
JobMeasurement measure_by_job(const Observed& observed, const api::Monitor& monitor, const api::MonitorStatus& before, TimePoint now);

// Removes Jobs of monitors that nobody waits for, and all but the last few that are over. `now` is what status is to say.
std::vector<Action> tidy_jobs(const Observed& observed, const std::vector<api::MonitorStatus>& now);

}  // namespace mo::monitors
