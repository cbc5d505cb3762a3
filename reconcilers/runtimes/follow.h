// A Model that follows a ModelRuntime with spec.update.policy Automatic: whether it is to be rolled out anew, and the ModelRollout that does
// it. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reconcilers/common/observed.h"

namespace mo::runtimes {

// What the runtime makes of the version that serves, where pods are of something else although nobody changed the Model.
struct Refresh {
  std::string revision;  // to get to
  std::string rollout;   // the name of the ModelRollout for it
  Ref<api::ModelRollout> tried;  // that one, or another to the same revision that did not get there; null: none was tried
};
std::optional<Refresh> refresh_of(const api::Model& model, const api::ModelStatus& status, const api::ModelVersion& version, const api::ModelRuntime& runtime,
                                  const std::vector<Ref<api::ModelRollout>>& rollouts);

// What is to be made for a Model that has nothing else on its way: nothing, or one ModelRollout.
std::vector<Action> follow(const Observed& observed, const api::ModelStatus& status);

// As status.rolling of the runtime names it.
std::string name_of(const ObjectKey& model);

}  // namespace mo::runtimes
