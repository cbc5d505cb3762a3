// Which version a Model goes back to. Pure.
#pragma once

#include <string>
#include <vector>

#include "reconcilers/common/observed.h"

namespace mo {

// The version that served before `stable` and that nobody has gone back from: each Succeeded rollout to a version that served earlier
// takes back what came after it. Empty if the rollouts that are kept tell of none.
std::string version_before(const std::string& stable, const std::vector<Ref<api::ModelRollout>>& rollouts);

}  // namespace mo
