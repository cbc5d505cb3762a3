// Which version a Model is to move to, and with which ModelRollout. The newest intent wins. Pure.
//
// Model.status.intent is the authority. It is written before any action, so a crash, a
// stale cache or a deleted ModelRollout cannot lose or duplicate an intent. Only the rollout that it names
// may run; all others wait or are ended.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "reconcilers/common/intent.h"
#include "reconcilers/common/observed.h"
#include "reconcilers/common/part.h"
#include "reconcilers/model/spec_version.h"
#include "reconcilers/rollout/policy.h"
#include "reconcilers/rollout/status.h"

namespace mo::model {

// Its actions make the ModelRollout for the spec's intent.
struct Decided : Part {
  api::ModelStatus status;        // spec_*, intent, stable_version brought up to date
  Ref<api::ModelRollout> active;  // the rollout that may run now, if it exists and is not over
  std::map<std::string, rollout::Waiting> waiting;   // rollouts that may not run yet, by name
  std::map<std::string, std::string> superseded;     // rollouts that must end, by name, and why
  bool rollout_first = false;                        // the ModelRollout in actions is not in status.intent yet
  std::map<std::string, api::RolloutStatus> closed;  // rollouts that ended without running
};

Decided decide_intent(const Observed& observed, const SpecVersion& spec, const rollout::Policy& policy,
                      TimePoint now);

// A first version must pass only gates without traffic: recorded metrics and Jobs. Without such gates it needs no
// ModelRollout. While gate sets are unknown, it counts as having some.
bool first_version_has_gates(const rollout::Policy& policy);

// Why a step's weight is not possible with this number of replicas; empty if all are, or with a route.
std::string weight_too_small(const api::Model& model);

// "ModelVersion … was deleted and recreated with digest …, but … was served under that name".
std::string made_anew(const api::ModelVersion& version, const std::string& digest);

// Why the ModelVersion of the stable version does not match what serves; empty if it matches or does not exist.
std::string stable_conflict(const Observed& observed, const api::ModelStatus& status);

// The last intent is what serves, version and revision.
bool intent_serves(const api::ModelStatus& status);

}  // namespace mo::model
