// The small worlds that are explored.
#pragma once

#include <vector>

#include "tests/explore/explorer.h"

namespace mo::explore {

std::vector<World> worlds();

}  // namespace mo::explore
