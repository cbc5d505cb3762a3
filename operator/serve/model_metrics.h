// What Prometheus is told of each Model: one series for what it is, and the dates of its lifecycle.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "operator/store/store.h"

namespace mo::serve {

std::vector<prometheus::MetricFamily> model_families(const Store<api::Model>& models);

// The figure of each monitor while it has one, and of each gate while its rollout is under way: what their statuses say, for charts.
std::vector<prometheus::MetricFamily> figure_families(const Store<api::Model>& models, const Store<api::ModelRollout>& rollouts);

}  // namespace mo::serve
