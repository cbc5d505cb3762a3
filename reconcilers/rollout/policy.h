// The policy that a rollout takes its snapshot of: the Model's, with the gates of its gate sets in it. Pure.
//
// A name means the Model's own gate if it has one of that name, else that of the first of its sets that does.
// A gate that a ClusterModelGateSet requires comes before all of these, and is in the policy whether or not it is named.
// Without gate sets admission has checked all names. With them nobody can before they are read: what is wrong is
// found here, and a rollout waits for it to be put right.
#pragma once

#include "reconcilers/common/observed.h"
#include "reconcilers/rollout/status.h"

namespace mo::rollout {

// As JSON, in bytes: the API server stores at most 1.5 MB of a whole object.
inline constexpr size_t kLargestPolicy = 1 << 20;

struct Policy {
  Ref<api::RolloutPolicy> policy;  // its gates: the Model's own, and those of sets that somebody names
  // Why none can start, or why no result of training can be judged: GateSetNotFound | GateSetForbidden |
  // InvalidGateSet | GateUndefined | GateUnsuitable | GateSetTooLarge | GateConflict. No reason: they can.
  Waiting rollouts, retraining;
  // A ClusterModelGateSet could not be read: nobody knows what it requires, and nothing may be skipped.
  bool required_unknown = false;
  std::optional<api::GovernanceRecord> governance = {};  // what ModelPolicies demand of a rollout that starts now
};

// There must be a Model.
Policy resolve(const Observed& observed);

}  // namespace mo::rollout
