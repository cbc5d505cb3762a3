// The active rollout: one step in time, the Jobs of its gates, and its effect on the Model's status at the end; or a first version
// without a rollout. Pure.
#pragma once

#include <optional>
#include <string>

#include "reconcilers/common/part.h"
#include "reconcilers/model/intent.h"
#include "reconcilers/rollout/advance.h"
#include "reconcilers/serving/render.h"

namespace mo::model {

// Its problem is a Job of a gate that cannot be rendered (InvalidGateJob).
struct Rolling : Part {
  std::optional<rollout::Advanced> advanced;  // of Decided::active; none without one
  std::string first;                          // a first version that starts without a rollout
  std::optional<api::Revision> first_revision;
  std::string job_taken;  // the name of a gate's Job that another Job already has

  bool under_way() const { return advanced && !rollout::is_over(advanced->status.phase); }
};

// Brings `decided.status` up to date: what is stable, warm, and how the intent ended. `hold`: why rollouts must not advance, a sentence; empty: they may.
Rolling roll(const Observed& observed, Decided& decided, const SpecVersion& spec, const rollout::Policy& policy, const std::string& hold,
             const serving::Settings& settings, TimePoint now);

}  // namespace mo::model
