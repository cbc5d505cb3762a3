// Writes that the API server rejected, and whether a plan would repeat them. Pure.
#pragma once

#include <vector>

#include "operator/core/plan.h"
#include "operator/store/refusals.h"

namespace mo {

// Whether what was refused is among these.
bool repeats(const Refusal& refusal, const std::vector<Action>& actions);
bool repeats_any(const std::vector<Refusal>& refusals, const std::vector<Action>& actions);

}  // namespace mo
