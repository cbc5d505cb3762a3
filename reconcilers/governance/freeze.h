// Freeze windows: times when rollouts do not advance. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reconcilers/common/observed.h"

namespace mo::governance {

struct Freeze {
  std::string why;                 // a sentence; empty: nothing is frozen
  std::optional<TimePoint> until;  // the windows that are open now have ended by then
  std::string problem;             // an invalid window freezes until it is corrected
};

// Of the enforced policies among these.
Freeze freeze_of(const std::vector<Ref<api::ModelPolicy>>& policies, TimePoint now);

// When one window that is open at `now` ends; nothing if it is not open. ErrorKind::Invalid: its cron or time zone is none.
Result<std::optional<TimePoint>> open_until(const api::FreezeWindow& window, TimePoint now);
// When it opens next after `now`, if it does.
std::optional<TimePoint> opens_next(const api::FreezeWindow& window, TimePoint now);

}  // namespace mo::governance
