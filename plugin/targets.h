// Which Models a verb is about: those that are named, or those that a label selector finds.
#pragma once

#include <string>
#include <vector>

#include "plugin/session.h"

namespace mo::plugin {

struct Selection {
  std::vector<std::string> names;  // as they were typed: "fraud", "model/fraud", "mro/fraud-v2-3"
  std::string selector;            // after -l

  // One that was named: what is said of it is said as of one.
  bool single() const { return selector.empty() && names.size() == 1; }
};

struct Target {
  std::string model;
  std::string rollout = {};  // if the ModelRollout was named
  bool operator==(const Target&) const = default;
};

// In the session's namespace, each once. `rollouts`: ModelRollouts may be named, and mean their Model too.
// Fails if a selector finds nothing: whoever steers by one means somebody.
Result<std::vector<Target>> targets(Session& session, const Selection& selection, bool rollouts = false);

}  // namespace mo::plugin
