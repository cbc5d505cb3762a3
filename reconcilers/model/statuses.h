// The statuses that a Model's plan leaves: the Model's, its ModelRollouts', its ModelVersions' and its TrainingRuns'. Pure.
#pragma once

#include "reconcilers/common/observed.h"
#include "reconcilers/model/decisions.h"
#include "reconcilers/serving/render.h"

namespace mo::model {

// Its actions are on record before anything is done; it looks again for what statuses tell and time alone changes. Adds the records of the
// audit trail to `decisions`' status.
Part write_statuses(const Observed& observed, Decisions& decisions, const serving::Settings& settings, TimePoint now);

// Those of TrainingRuns that people have written, at most so many: nobody's traffic waits for thousands of them.
std::vector<Action> write_other_runs(const Decisions& decisions, size_t most, TimePoint now);

}  // namespace mo::model
