// What Prometheus is told of each Model: one series for what it is, and the dates of its lifecycle.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "operator/store/store.h"

namespace mo::serve {

std::vector<prometheus::MetricFamily> model_families(const Store<api::Model>& models);

}  // namespace mo::serve
