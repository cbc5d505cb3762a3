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
    Updated,  // its pods are of what the runtime says
    Waiting,  // they are of something else
    Rolling,  // a ModelRollout of the runtime's is under way
    Failed,   // one did not get there, or somebody went back since: nobody tries again by itself
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
