// What there is to know of a Model's rollouts before one of them is steered or a new one is written. Pure,
// but for read().
#pragma once

#include <string>
#include <vector>

#include "plugin/session.h"
#include "reconcilers/common/rollback_targets.h"

namespace mo::plugin {

struct Rollouts {
  Json model;
  std::vector<Json> all;       // newest first
  std::vector<Json> versions;  // ModelVersions of this Model

  std::string name() const;
  std::string stable() const;  // empty: nothing serves yet
};
Result<Rollouts> read(Session& session, const std::string& model);

void sort_newest_first(std::vector<Json>& rollouts);
bool over(const Json& rollout);
bool started(const Json& rollout);
// "ModelRollout fraud-v2-7 (fraud-v1 -> fraud-v2)".
std::string title(const Json& rollout);

// What it moves from and to, as its status says it.
std::string from_text(const Json& rollout);
std::string to_text(const Json& rollout);

// The one that is meant by "the rollout": `wanted` if that is given, else the one under way, else the only
// one that waits. Refuses if there is none, or several could be meant.
Result<Json> the_rollout(const Rollouts& rollouts, const std::string& wanted);
// Whether one is under way or waits.
bool any_live(const Rollouts& rollouts);

// A version that a rollout tried last and could not bring.
Result<std::string> failed_last(const Rollouts& rollouts);
// The nearest of rollback_targets() that there is. Refuses where there is none, and says where else one may go.
Result<std::string> served_before(const Rollouts& rollouts);
// Refuses if this Model has no such version.
Result<void> is_version(const Rollouts& rollouts, const std::string& version);
// A rollout to it succeeded, or it is or was stable.
bool has_passed(const Rollouts& rollouts, const std::string& version);

// A ModelRollout whose name follows from what it is for, so that two people at the same time make one.
Json new_rollout(const Rollouts& rollouts, const std::string& version, const std::string& purpose);

}  // namespace mo::plugin
