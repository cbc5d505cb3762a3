// Model.status: what there is, in conditions that kubectl wait, Argo CD and Flux understand. Pure.
#pragma once

#include <string>

#include "operator/json/json.h"
#include "reconcilers/common/observed.h"
#include "reconcilers/lifecycle/lifecycle.h"
#include "reconcilers/model/intent.h"

namespace mo::model {

// What the parts of the plan found out.
struct Findings {
  const Observed& observed;
  const SpecVersion& spec;
  api::ModelStatus status;                      // intent, stable and retraining as decided
  std::string candidate = {};                        // of a rollout, or a first version on its way
  std::string stable_side = {}, candidate_side = {};      // of what serves and of the candidate (side.h)
  const api::RolloutStatus* rollout = nullptr;  // of the one under way, as decided
  std::string rollout_name = {};
  rollout::Waiting waiting = {};  // why the rollout that the intent names cannot start
  std::string runtime_outdated = {};  // a sentence, if what serves is of an older ModelRuntime
  std::string refused = {};       // what the API server said no to, word for word
  std::string serve_reason = {}, serve_problem = {}, not_sticky = {};
  std::string retraining_reason = {}, retraining_problem = {};
  const lifecycle::Decision* lifecycle = nullptr;
  std::string retention_stopped = {};  // a sentence, if ModelAudits stay that should have gone
  std::string monitors_reason = {}, monitors_problem = {};  // what is wrong with a set of monitors
};

Json render_status(const Findings& findings, TimePoint now);

}  // namespace mo::model
