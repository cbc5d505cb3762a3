// Versions that a Model can roll back to. Pure.
#pragma once

#include <string>
#include <vector>

#include "reconcilers/common/observed.h"

namespace mo {

// A rollout that succeeded.
struct Move {
  std::string from, to;  // from: empty for a first version
};

// Rollback targets of `stable`, the most recent first. A version is left out if it was itself rolled back from later. `moves` are all
// successful rollouts, the oldest first.
std::vector<std::string> rollback_targets(const std::vector<Move>& moves, const std::string& stable);

// The rollouts that succeeded, the oldest first.
std::vector<Move> moves_of(const std::vector<Ref<api::ModelRollout>>& rollouts);

// Whether this revision of `candidate`'s version had all traffic before, so the rollout is a rollback. Rollouts that never started or have no
// recorded revision, and other templates of the version, do not count.
bool served_before(const std::vector<Ref<api::ModelRollout>>& rollouts, const api::ModelRollout& candidate, const std::string& revision);

}  // namespace mo
