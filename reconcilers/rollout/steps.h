// What the steps of a rollout say. Pure. `index` is the step where it stands, from 1; after the last it is on the way to 100.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/api/types.h"

namespace mo::rollout {

// "weight 10", "pause 5m", "gates accuracy, latency".
std::string describe(const api::Step& step);

// Gates that earlier steps told to watch, but for those that this one measures itself.
std::vector<std::string> watched_at(const api::RolloutPolicy& policy, int index);

// What the last of its kind up to here says; on the way to 100 no step says anything of pods or callers any more.
std::optional<int> candidate_replicas_at(const api::RolloutPolicy& policy, int index);
std::vector<api::HeaderMatch> chosen_at(const api::RolloutPolicy& policy, int index);

// The weight that pods get ready for here.
int next_weight(const api::RolloutPolicy& policy, int index);

// Some of these gates measure the candidate at work, not what was recorded of it.
bool needs_pods(const api::RolloutPolicy& policy, const std::vector<std::string>& gates);

}  // namespace mo::rollout
