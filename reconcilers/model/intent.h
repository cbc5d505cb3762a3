// Which version a Model is to move to, and which ModelRollout carries that: the newest intent wins. Pure.
//
// Model.status.intent is the authority. It is written before anything follows from it, so that a crash, a
// stale cache or a deleted ModelRollout cannot lose or double an intent. Exactly the rollout that it names
// may run; every other one waits, or is ended.
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
  std::map<std::string, rollout::Waiting> waiting;   // those that may not yet, by name
  std::map<std::string, std::string> superseded;     // those that are to end, by name, and why
  bool rollout_first = false;                        // the ModelRollout that actions make is not on record yet
  std::map<std::string, api::RolloutStatus> closed;  // those that are over without having run
};

Decided decide_intent(const Observed& observed, const SpecVersion& spec, const rollout::Policy& policy,
                      TimePoint now);

// The gates that a first version has to pass are those that need no traffic: recorded metrics and Jobs; with none it needs no
// ModelRollout. It is taken to have some for as long as nobody knows.
bool first_version_has_gates(const rollout::Policy& policy);

// Why a step's weight cannot be kept with so few replicas; empty if all can, or a route keeps them.
std::string weight_too_small(const api::Model& model);

// "ModelVersion … was deleted and recreated with digest …, but … was served under that name".
std::string made_anew(const api::ModelVersion& version, const std::string& digest);

// Why the record of the stable version is not that of what serves; empty if it is, or isn't there.
std::string stable_conflict(const Observed& observed, const api::ModelStatus& status);

// What was tried last is what serves, version and revision.
bool intent_serves(const api::ModelStatus& status);

}  // namespace mo::model
