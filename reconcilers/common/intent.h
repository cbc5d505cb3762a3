// How far a Model's intent (Model.status.intent) is. Pure.
#pragma once

#include "operator/api/types.h"

namespace mo {

// Neither achieved nor given up.
inline bool under_way(const api::Intent& intent) { return !intent.version.empty() && intent.outcome.empty(); }
inline bool ended_badly(const api::Intent& intent) { return !intent.outcome.empty() && intent.outcome != "Succeeded"; }

}  // namespace mo
