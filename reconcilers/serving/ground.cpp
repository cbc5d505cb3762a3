#include "reconcilers/serving/ground.h"

namespace mo::serving {

bool Ground::at(int weight) const {
  if (weight <= 0) return selected == Selected::Stable || selected == Selected::Nobody;
  if (weight >= 100) return selected == Selected::Candidate && candidate_ready_for(100);
  return selected == Selected::Both && candidate_settled &&
         reached(capacity_for(replicas, weight), stable, candidate);
}

bool Ground::candidate_ready_for(int weight) const {
  return candidate.exists && candidate_settled && candidate.ready >= capacity_for(replicas, weight).candidate;
}

}  // namespace mo::serving
