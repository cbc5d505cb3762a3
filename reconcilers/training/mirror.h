// Writes the state of versions back to a model registry:
// registry.mlflow.mirror of a trigger. Pure.
//
// The content is stored in the Model's status before a Job of our image writes it. One Job runs at a time, and the
// newest content is written last. Nothing waits for it: a failed Job is reported and retried.
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
