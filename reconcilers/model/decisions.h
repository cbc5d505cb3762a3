// The decisions of all subjects. plan.cpp fills it in order; each subject reads the decisions before it. Pure.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "reconcilers/common/part.h"
#include "reconcilers/common/side.h"
#include "reconcilers/lifecycle/lifecycle.h"
#include "reconcilers/model/intent.h"
#include "reconcilers/model/revisions.h"
#include "reconcilers/model/rolling.h"
#include "reconcilers/monitors/monitors.h"
#include "reconcilers/serving/serve.h"
#include "reconcilers/training/mirror.h"
#include "reconcilers/training/training.h"

namespace mo::model {

struct Decisions {
  lifecycle::Decision lifecycle;
  SpecVersion spec;
  rollout::Policy policy;
  Decided intent;  // its status becomes the Model's status; later subjects add their fields
  monitors::Decision monitors;
  Rolling rollout;
  Part runtime;  // the ModelRollout for a changed ModelRuntime
  training::Planned training;
  training::Mirrored mirror;
  serving::Served serving;

  api::ModelStatus& status() { return intent.status; }
  const api::ModelStatus& status() const { return intent.status; }

  const std::string& candidate() const { return rollout.under_way() ? intent.active->version : rollout.first; }
  const std::optional<api::Revision>& candidate_revision() const {
    return rollout.under_way() ? rollout.advanced->status.revision : rollout.first_revision;
  }
  std::string stable_side() const { return side_of(status().stable_version, status().stable_revision); }
  std::string candidate_side() const { return model::candidate_side(candidate(), candidate_revision(), status()); }

  std::array<Part*, 9> parts() { return {&rollout, &lifecycle, &spec, &intent, &monitors, &runtime, &training, &mirror, &serving}; }
  // In execution order, after statuses: serving comes before Jobs.
  std::array<std::vector<Action>*, 9> actions() {
    return {&spec.actions,     &intent.actions,  &monitors.actions, &serving.actions, &runtime.actions,
            &training.actions, &rollout.actions, &monitors.jobs,    &mirror.actions};
  }
};

}  // namespace mo::model
