// A revision as status has it. Pure.
#pragma once

#include <optional>

#include "operator/api/types.h"
#include "operator/json/json.h"

namespace mo {

Json to_json(const api::Revision& revision);

Json to_json(const api::Served& served);

// Both are known to be of the same ingredients.
bool same(const std::optional<api::Revision>& a, const std::optional<api::Revision>& b);

}  // namespace mo
