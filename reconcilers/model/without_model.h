// Rollouts, runs and versions whose Model isn't there: they say so, and wait for it. Pure.
#pragma once

#include "operator/core/plan.h"
#include "reconcilers/audit/trail.h"
#include "reconcilers/common/observed.h"

namespace mo::model {

Plan plan_without_model(const Observed& o, TimePoint now, const audit::Settings& audit);

}  // namespace mo::model
