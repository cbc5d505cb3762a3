// The plan for a retired Model: serving objects and runs are deleted, history is kept. Pure.
#pragma once

#include "reconcilers/lifecycle/lifecycle.h"
#include "reconcilers/serving/render.h"

namespace mo::model {

// Statuses first, then the route, Services, Deployments and Jobs that run, each with the observed resourceVersion. Adopted objects
// (spec.serving.adopt) do not belong to the Model and are kept.
Plan retire(const Observed& observed, const lifecycle::Decision& decision, TimePoint now, const serving::Settings& settings);

}  // namespace mo::model
