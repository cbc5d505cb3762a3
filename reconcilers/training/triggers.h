// Triggers that fire now: schedules, data, other Models, registries. Pure.
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
  std::string due;                             // the trigger whose schedule is due
  TimePoint due_at{};                          // its scheduled time
  std::string waiting;                         // triggers that cannot be evaluated, and why
  std::string missed;                          // a scheduled run beyond its startingDeadline, a sentence
};

// Updates the schedule fields in `status`.
Triggers read_triggers(const Observed& observed, api::RetrainingStatus& status, TimePoint now);

// The constant delay of a schedule trigger of this Model, less than `most`.
Duration jitter_of(const std::string& model_uid, const std::string& trigger, Duration most);

// Schedule | Dataset | Monitor | Model | Registry | Request, as in TrainingRun.spec.trigger.kind.
std::string kind_of(const api::Retraining& spec, const std::string& trigger);

}  // namespace mo::training
