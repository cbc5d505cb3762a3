// The status that a decision leaves, as a write of it. Pure.
#pragma once

#include <string>
#include <vector>

#include "operator/api/types.h"
#include "operator/core/plan.h"

namespace mo {

// Adds the write to `actions`, unless the object says so already: `before` is its status as it came. The write that was added, for who
// has more to say of it; it lives until another action is added. Null if there is none.
WriteStatus* write_status(std::vector<Action>& actions, Kind kind, const api::ObjectMeta& meta, const RawJson& before, RawJson next, std::string why);

}  // namespace mo
