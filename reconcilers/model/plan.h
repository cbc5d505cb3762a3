// Everything that is to be done about one Model, its versions, rollouts, training runs and what serves it.
// Pure.
//
// Order of a plan: statuses first (decisions are on record before anything acts on them), then what they call
// for. A crash after any action leaves a state from which the next plan goes on to the same end.
#pragma once

#include "reconcilers/common/observed.h"
#include "reconcilers/serving/render.h"

namespace mo::model {

using Settings = serving::Settings;

// Empty for a Model that another installation of the operator handles.
Plan plan(const Observed& observed, TimePoint now, const Settings& settings);

}  // namespace mo::model
