// What would start a run now: schedules, data, other Models, registries. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reconcilers/common/observed.h"
#include "reconcilers/common/part.h"

namespace mo::training {

// Its problem is a schedule that cannot be used.
struct Triggers : Part {
  std::map<std::string, std::string> digests;  // by trigger: of the data, the version that another Model promoted, or what a registry's alias names
  std::string due;                             // the trigger whose schedule has come
  TimePoint due_at{};                          // and for when
  std::string waiting;                         // the triggers that cannot be read, and why
  std::string missed;                          // a firing beyond its startingDeadline, a sentence
};

// Brings in `status` the bookkeeping of schedules up to date.
Triggers read_triggers(const Observed& observed, api::RetrainingStatus& status, TimePoint now);

// How much later than its schedule says a trigger of this Model fires: the same span every time, less than `most`.
Duration jitter_of(const std::string& model_uid, const std::string& trigger, Duration most);

// Schedule | Dataset | Monitor | Model | Registry | Request, as TrainingRuns tell it.
std::string kind_of(const api::Retraining& spec, const std::string& trigger);

}  // namespace mo::training
