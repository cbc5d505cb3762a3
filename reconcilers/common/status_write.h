// Turns a new status into a write. Pure.
#pragma once

#include <string>
#include <vector>

#include "operator/api/types.h"
#include "operator/core/plan.h"

namespace mo {

// Adds the write to `actions`, unless the status is unchanged (`before` is the observed status). Returns the added write, so that the caller
// can modify it; the pointer is valid until another action is added. Null if there is none.
WriteStatus* write_status(std::vector<Action>& actions, Kind kind, const api::ObjectMeta& meta, const RawJson& before, RawJson next, std::string why);

}  // namespace mo
