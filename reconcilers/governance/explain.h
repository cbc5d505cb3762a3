// The requirements of policies as text. Pure.
#pragma once

#include <string>
#include <vector>

#include "reconcilers/common/observed.h"

namespace mo::governance {

// A line for each demand of one policy, after one that names it.
std::vector<std::string> demands(const api::ModelPolicy& policy, TimePoint now);
// A line for each demand of each policy that is for the Model, in the order of their names.
std::vector<std::string> demands(const Observed& observed, TimePoint now);

}  // namespace mo::governance
