#include "reconcilers/serving/serving_state.h"

#include <algorithm>

namespace mo::serving {

TimePoint Fetching::counts_from(TimePoint waiting) const {
  if (since) return waiting + most;
  return done ? std::clamp(*done, waiting, waiting + most) : waiting;
}

Capacity ServingState::goal(int weight) const {
  if (!routed) return limit ? capacity_within(*limit, replicas, weight) : capacity_for(replicas, weight);
  if (candidate_replicas && weight > 0 && weight < 100) return {replicas, *candidate_replicas};
  return routed_capacity_for(replicas, weight);
}

// Stable gives up one pod for it, unless it has but one.
int ServingState::most_warm() const { return replicas == 0 ? 0 : std::max(*limit - replicas, std::min(1, replicas - 1)); }

int ServingState::warm_goal(int weight) const {
  const int pods = goal(weight).candidate;
  return limit ? std::min(pods, most_warm()) : pods;
}

bool ServingState::warm_for(int weight) const {
  const int pods = warm_goal(weight);
  return (limit && pods == 0) || candidate_has(pods);
}

bool ServingState::at(int weight) const {
  // A first version has its Service; that people cannot reach it yet is the route's own affair.
  if (routed && stable.exists && !route_taken_up) return false;
  if (weight <= 0) return selected == Selected::Stable || selected == Selected::Nobody;
  if (weight >= 100) return selected == Selected::Candidate && candidate_ready_for(100);
  if (routed && route_weight != weight) return false;
  return selected == Selected::Both && candidate_settled && reached(goal(weight), stable, candidate);
}

bool ServingState::candidate_ready_for(int weight) const { return candidate_has(goal(weight).candidate); }

bool ServingState::candidate_has(int pods) const {
  return candidate.exists && candidate_settled && candidate.ready >= pods;
}

}  // namespace mo::serving
