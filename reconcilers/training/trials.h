// Which parameters the trials of a run train with. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "operator/api/retraining_spec.h"
#include "operator/core/result.h"

namespace mo::training {

using Parameters = std::map<std::string, std::string>;

// One set of parameters for each trial, in an order that is the same for the same seed; `fixed` takes the place of what spec says of
// those names. Without `trials` there is one trial. ErrorKind::Invalid if a grid has more than kMostTrials sets.
Result<std::vector<Parameters>> expand(const std::optional<api::Trials>& trials, const Parameters& fixed, int64_t seed);

// The next number of a sequence that a seed begins (splitmix64).
uint64_t next_random(uint64_t& state);

}  // namespace mo::training
