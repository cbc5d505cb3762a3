// Comparison of revisions. Pure.
#pragma once

#include <optional>

#include "operator/api/types.h"

namespace mo {

// Both are known and have the same name.
bool same(const std::optional<api::Revision>& a, const std::optional<api::Revision>& b);

}  // namespace mo
