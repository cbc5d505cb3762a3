// The small worlds that are explored.
#pragma once

#include <functional>
#include <vector>

#include "tests/explore/explorer.h"
#include "tests/sim/fixture.h"

namespace mo::explore {

using Acts = std::vector<Act>;

std::vector<World> worlds();
std::vector<World> template_worlds();  // some of them

// One pod a version, and steps of both kinds.
void small(Json& spec);

// Model m serves m-v1 and everybody knows: what happened before is no part of the world.
sim::Fixture serving(sim::Sim& s, const std::function<void(Json& spec)>& edit = small);

}  // namespace mo::explore
