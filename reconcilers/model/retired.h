// What there is to do for a Model that is retired: nothing serves, nothing runs, and history stays. Pure.
#pragma once

#include "reconcilers/lifecycle/lifecycle.h"
#include "reconcilers/serving/render.h"

namespace mo::model {

// Statuses first, then the route, Services, Deployments and Jobs that run, each only as it was seen. What the Model adopted
// (spec.serving.adopt) is not its own and stays.
Plan retire(const Observed& observed, const lifecycle::Decision& decision, TimePoint now, const serving::Settings& settings);

}  // namespace mo::model
