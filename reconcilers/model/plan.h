// The plan for one Model: its versions, rollouts, training runs and serving objects.
// Pure.
//
// Statuses come first, so that decisions are stored before any action. After a crash at any action,
// the next plan continues to the same result.
#pragma once

#include "reconcilers/common/observed.h"
#include "reconcilers/serving/render.h"

namespace mo::model {

using Settings = serving::Settings;

// Empty for a Model that another installation of the operator handles.
Plan plan(const Observed& observed, TimePoint now, const Settings& settings);

}  // namespace mo::model
