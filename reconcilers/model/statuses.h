// The statuses that a Model's plan leaves: the Model's, its ModelRollouts', its ModelVersions' and its TrainingRuns'. Pure.
#pragma once

#include "operator/json/json.h"
#include "reconcilers/common/observed.h"
#include "reconcilers/model/decisions.h"
#include "reconcilers/serving/render.h"

namespace mo::model {

// Its actions are on record before anything is done; it looks again for what statuses tell and time alone changes. Adds the records of the
// audit trail to `decisions`' status.
Part write_statuses(const Observed& observed, Decisions& decisions, const serving::Settings& settings, TimePoint now);

// Those of TrainingRuns that people have written, at most so many: nobody's traffic waits for thousands of them.
std::vector<Action> write_other_runs(const Decisions& decisions, size_t most, TimePoint now);

// The two differ in nothing but counts of pods, and records that a ModelAudit holds: that may wait a moment.
bool only_counts_differ(const Json& a, const Json& b);
// They differ in nothing but the number of pods that run, ready or not.
bool same_but_running(const Json& a, const Json& b);

}  // namespace mo::model
