// Which monitors a Model has: its own, those of the gate sets that spec.monitorSets names, and those of its ModelPolicies. Pure.
//
// A name means the monitor of that name that a ClusterModelGateSet requires, else the Model's own, else that of the first of its
// sets that has one. Monitors of ModelPolicies stand beside them, as POLICY/NAME.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "reconcilers/common/observed.h"

namespace mo::monitors {

inline constexpr size_t kMostMonitors = 60;    // the Model's own and those of its sets
inline constexpr size_t kMostOfPolicies = 60;

struct Watched {
  std::vector<api::Monitor> monitors;  // the Model's own, in its order, those of sets, those of policies; each name once
  // GateSetNotFound | GateSetForbidden | InvalidGateSet | MonitorConflict | MonitorUndefined | TooManyMonitors. No reason: nothing is
  // wrong. What can be watched is watched all the same.
  std::string problem_reason, problem;
  std::set<std::string> unread;  // sets that are missing or cannot be read, such as ModelGateSet/shared
};

// There must be a Model.
Watched watched_of(const Observed& observed);

}  // namespace mo::monitors
