// How changes of models get to production, as DORA defines the four figures, from the rollouts that history keeps.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/portfolio.h"

namespace mo::report {

struct Delivery {
  size_t deployments = 0, failures = 0, pending = 0;  // pending: rollouts under way
  std::optional<double> per_week;
  std::optional<Duration> lead_time, lead_time_p90;  // medians, and nine of ten
  std::optional<double> failure_rate;                // of those that ended by evidence, 0 to 1
  std::optional<Duration> restore;                   // median
  size_t restores = 0;                               // how many it is of
};

struct Week {
  TimePoint from{};
  size_t succeeded = 0, failed = 0, stopped = 0;  // stopped: Aborted, Superseded
};

// Of rollouts that ended within kWindow before `now`.
Delivery delivery_of(const std::vector<const Model*>& models, TimePoint now);
// The last 13, the oldest first.
std::vector<Week> weeks_of(const std::vector<const Model*>& models, TimePoint now);

// What each figure means, in a sentence.
struct Definition {
  const char *figure, *meaning;
};
const std::vector<Definition>& delivery_definitions();

}  // namespace mo::report
