// The verbs that change something. Each is one edit of one Model or ModelRollout, of exactly the object that
// was looked at; what makes no sense is refused before anything is written.
#pragma once

#include <optional>
#include <string>

#include "plugin/rollouts.h"
#include "plugin/session.h"
#include "plugin/targets.h"

namespace mo::plugin {

enum class DryRun {
  None,
  Client,  // nothing is sent: the object as it would be
  Server,  // sent, checked by admission, not stored
};

struct Steering {
  std::string verb;  // promote | pause | resume | abort | retry | rollback | retrain
  std::string model;
  std::string rollout;  // --rollout: which one, where several could be meant
  std::string to;       // rollback --to
  bool force = false;   // rollback --force
  std::string output;   // empty: a sentence
  DryRun dry_run = DryRun::None;  // Server: the session's client writes so
  std::string user = {};  // who steers; empty: nobody is to be on record as the author of a change
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

// The Model and ModelRollout of `steering`, with a sentence or the object.
int steer(Session& session, const Steering& steering);

// The same for each Model of `selection`, whatever becomes of the others: a line each, a summary, and the worst exit
// code. Of Models that a selector finds, those that have nothing to steer are passed over.
int steer_all(Session& session, Steering steering, const Selection& selection);

}  // namespace mo::plugin
