// How the pods and the traffic of a Model's versions stand. Pure.
#pragma once

#include <string>

#include "reconcilers/common/observed.h"
#include "reconcilers/serving/capacity.h"
#include "reconcilers/serving/ground.h"

namespace mo::serving {

// The facts about `stable` and `candidate` (either may be empty).
Ground survey(const Observed& observed, const std::string& stable, const std::string& candidate,
              TimePoint now);

// "fraud-v1: ErrImagePull: …" for a version whose pods are not ready; empty if nothing is known.
std::string pods_problem(const Observed& observed, const std::string& version);

Pods pods_of(const Observed& observed, const std::string& version);
// All pods run what was last applied and are ready.
bool settled(const Observed& observed, const std::string& version);

// A version's Deployment; null if there is none.
const Owned<api::Deployment>* deployment_of(const Observed& observed, const std::string& version);

}  // namespace mo::serving
