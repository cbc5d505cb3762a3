// The rollout that may run now: one turn of it, the Jobs of its gates, and what the Model learns from its end; or a first version that
// serves without one. Pure.
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
  std::string first;                          // a first version on its way without a rollout
  std::optional<api::Revision> first_revision;
  std::string job_taken;  // a Job that a gate needs has a name that another one has

  bool under_way() const { return advanced && !rollout::is_over(advanced->status.phase); }
};

// Brings `decided.status` up to date: what is stable, warm, and how the intent ended. `hold`: why no rollout goes on, a sentence; empty: it may.
Rolling roll(const Observed& observed, Decided& decided, const SpecVersion& spec, const rollout::Policy& policy, const std::string& hold,
             const serving::Settings& settings, TimePoint now);

}  // namespace mo::model
