// An edited ModelRuntime with spec.update.policy Automatic, over all Models that follow it: who may roll it out now, and when to stop.
// status.rolling is the authority: a Model acts only once its name stands there, so that a crash or a second look lets no more begin. Pure.
#pragma once

#include <string>
#include <vector>

#include "operator/store/store.h"
#include "reconcilers/common/installation.h"
#include "reconcilers/common/observed.h"

namespace mo::runtimes {

struct Follower {
  enum class State {
    Updated,   // its pods are of what the runtime says
    Waiting,   // they are of something else
    Busy,      // so are they, and the Model has another rollout under way or may make none
    Rolling,   // a ModelRollout of the runtime's is under way
    Slow,      // so it is, but waits for a person or has for an hour: others need not wait for it
    Failed,    // it was rolled back, or failed
    Declined,  // somebody aborted it, or went back since
  } state = State::Waiting;
  ObjectKey model;
  std::string tier;  // spec.riskTier
};

struct Fleet {
  ObjectKey key;                    // of the runtime
  Ref<api::ModelRuntime> runtime;   // null: it is gone
  std::vector<Follower> followers;  // that serve, and that this installation handles
};

Fleet observe(const Stores& stores, const ObjectKey& runtime, const Installation& installation, TimePoint now);
Plan plan(const Fleet& fleet, TimePoint now);

}  // namespace mo::runtimes
