// A revision as JSON of a status. Pure.
#pragma once

#include <optional>

#include "operator/api/types.h"
#include "operator/json/json.h"

namespace mo {

Json to_json(const api::Revision& revision);

Json to_json(const api::Served& served);

// Both are known and have the same name.
bool same(const std::optional<api::Revision>& a, const std::optional<api::Revision>& b);

}  // namespace mo
