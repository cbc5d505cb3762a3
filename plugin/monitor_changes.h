// What files would change of the monitors that a Model takes from elsewhere: from gate sets and ModelPolicies. Pure.
#pragma once

#include <string>
#include <vector>

#include "reconcilers/common/observed.h"

namespace mo::plugin {

// A sentence each; none if nothing changes. `before` may have no Model. What is wrong with a set is told if it was not so before.
std::vector<std::string> monitor_changes(const Observed& before, const Observed& after);

}  // namespace mo::plugin
