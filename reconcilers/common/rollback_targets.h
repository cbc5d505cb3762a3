// Which versions a Model may go back to. Pure.
#pragma once

#include <string>
#include <vector>

#include "reconcilers/common/observed.h"

namespace mo {

// A rollout that succeeded.
struct Move {
  std::string from, to;  // from: empty for a first version
};

// The versions that one may go back to from `stable`, the nearest first: each was promoted before the next, and nobody has gone back
// from it since. `moves` are all, the oldest first.
std::vector<std::string> rollback_targets(const std::vector<Move>& moves, const std::string& stable);

// The rollouts that succeeded, the oldest first.
std::vector<Move> moves_of(const std::vector<Ref<api::ModelRollout>>& rollouts);

// Whether this revision of `candidate`'s version had all traffic before, so that going there is a way back. A rollout that never began, one
// without revisions on record, and another template of the version count for nothing.
bool served_before(const std::vector<Ref<api::ModelRollout>>& rollouts, const api::ModelRollout& candidate, const std::string& revision);

}  // namespace mo
