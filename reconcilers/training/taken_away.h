// A Model whose spec.retraining was removed, or that never had one: ends its runs. Pure.
#pragma once

#include "reconcilers/training/training.h"

namespace mo::training {

// No number and no request is used twice if it comes back.
Planned taken_away(const Observed& observed, TimePoint now);

// The operator made it, and no person.
bool is_of_operator(const api::TrainingRun& run, const api::Model& model);
// Of a run whose own count is gone: as if all its Jobs had run all the time.
int64_t most_job_seconds(const api::RetrainingRun& run, const std::optional<api::Trials>& trials, TimePoint now);

}  // namespace mo::training
