// Tells a registry of models which of its versions serves, and what became of the others:
// registry.mlflow.mirror of a trigger. Pure.
//
// What it is to know is in the Model's status before a Job of our image writes it; one Job at a time, and the
// newest in the end. Nothing waits for it: a Job that fails is said, and made again later.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/json/json.h"
#include "reconcilers/common/observed.h"
#include "reconcilers/common/part.h"
#include "reconcilers/serving/render.h"

namespace mo::training {

inline constexpr size_t kMostMirrored =
    10;  // versions, the newest of those that were imported, and the one that serves
inline constexpr size_t kMirrorJobsKept = 3;  // that are over

struct Serves {
  std::string stable = {};   // the version that serves, as decided; "" if none
  std::string rollout = {};  // the ModelRollout that decided it; may be empty
  bool retired = false;      // the Model
};

struct Mirrored : Part {
  api::MirrorStatus status;
};

Mirrored mirror(const Observed& observed, const Serves& serves, const serving::Settings& settings,
                TimePoint now);

}  // namespace mo::training
