// ModelRollout.status as JSON, conditions included.
#pragma once

#include <string>

#include "operator/api/types.h"
#include "operator/json/json.h"

namespace mo::rollout {

// Why a rollout that hasn't started cannot, if so: `stalled` when it won't by itself.
struct Waiting {
  std::string reason, message;
  bool stalled = false;
};

// For people, what it moves from and to: the version, and where both are of one which template.
std::string from_text(const std::string& version, const api::RolloutStatus& status);
std::string to_text(const std::string& version, const api::RolloutStatus& status);

// `status` as decided (its own `conditions` are those from before); `problem` is what the API server said no
// to, if anything.
Json render_status(const api::ModelRollout& rollout, const api::RolloutStatus& status, const Waiting& waiting,
                   const std::string& problem, TimePoint now);

}  // namespace mo::rollout
