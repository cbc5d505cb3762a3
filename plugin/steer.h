// The verbs that change something. Each is one edit of one Model or ModelRollout, of exactly the object that
// was looked at; what makes no sense is refused before anything is written.
#pragma once

#include <optional>
#include <string>

#include "plugin/rollouts.h"
#include "plugin/session.h"

namespace mo::plugin {

struct Steering {
  std::string verb;  // promote | pause | resume | abort | retry | rollback | retrain
  std::string model;
  std::string rollout;  // --rollout: which one, where several could be meant
  std::string to;       // rollback --to
  bool force = false;   // rollback --force
  std::string output;   // empty: a sentence
};

// One write, or none if it is so already.
struct Edit {
  enum class Do { Nothing, Patch, Create } what = Do::Nothing;
  Kind kind{};
  Json body;  // a merge patch with its preconditions, or the new object
  std::string name;
  std::string said;  // what it comes to, in one sentence
};

// What the verb means for what there is. Pure.
Result<Edit> decide(const Steering& steering, const Rollouts& rollouts, TimePoint now);

int steer(Session& session, const Steering& steering);

}  // namespace mo::plugin
