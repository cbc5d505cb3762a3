// How the pods and the traffic of a Model's sides (side.h) stand. Pure.
#pragma once

#include <string>

#include "reconcilers/common/observed.h"
#include "reconcilers/serving/capacity.h"
#include "reconcilers/serving/serving_state.h"

namespace mo::serving {

// The facts about the sides `stable` and `candidate` (either may be empty).
ServingState survey(const Observed& observed, const std::string& stable, const std::string& candidate,
              TimePoint now);

// "ErrImagePull: …" for a side whose pods are not ready; empty if nothing is known.
std::string pods_problem(const Observed& observed, const std::string& side);

// The name of a ConfigMap that holds an artifact of the version and does not exist; empty: there is none such.
std::string absent_configmap(const Observed& observed, const api::ModelVersion& version);

Fetching fetching_of(const Observed& observed, const std::string& side);

Pods pods_of(const Observed& observed, const std::string& side);
// All pods run what was last applied and are ready.
bool settled(const Observed& observed, const std::string& side);

// A side's Deployment; null if there is none.
const Owned<api::Deployment>* deployment_of(const Observed& observed, const std::string& side);

}  // namespace mo::serving
