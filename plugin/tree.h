// One Model and all that hangs on it as a tree of lines. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/core/time.h"
#include "operator/json/json.h"

namespace mo::plugin {

// What the plugin's exit codes mean, whichever the verb.
enum Exit {
  kDone = 0,     // it is so: done, Ready, nothing found
  kNo = 1,       // it is not so: refused, rolled back, stalled, mistakes found, changes planned
  kTrouble = 2,  // it cannot be told: wrong usage, no answer, an error of the API server
  kNotYet = 3,   // still on its way when the time was up
};

struct Snapshot {
  Json model;
  std::vector<Json> versions, rollouts, pods;  // rollouts: newest first
};

struct DisplayOptions {
  bool colour = false;
  bool ticking =
      true;  // times as what is left of them; else as points in time, which do not change by themselves
};

std::vector<std::string> render(const Snapshot& snapshot, TimePoint now, const DisplayOptions& display);

// Whether nothing more will happen by itself, and if so how it ended: kDone when the Model is Ready, kNo when
// it is not. Nothing while something is on its way.
std::optional<int> at_rest(const Snapshot& snapshot);

// "1 weight 10", …: the steps of a policy, with what comes after them.
std::vector<std::string> steps_of(const Json& policy);

// A gate's bounds: "min 0.92, at most 0.005 worse than stable, 200 samples".
std::string bounds(const Json& gate);

}  // namespace mo::plugin
