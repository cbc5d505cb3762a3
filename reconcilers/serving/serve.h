// Computes the writes from the observed state to the desired sides (side.h) and traffic. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reconcilers/common/observed.h"
#include "reconcilers/common/part.h"
#include "reconcilers/serving/serving_state.h"
#include "reconcilers/serving/render.h"

namespace mo::serving {

// The desired traffic and its sides.
struct Wanted : TrafficTarget {
  std::string stable, candidate;  // sides; may be empty
  // Their revisions; nothing, or without a pod template: from the current spec.
  std::optional<api::Revision> stable_revision, candidate_revision;
  std::map<std::string, std::string> headers;  // response headers that the route adds
  std::vector<std::string> warm;               // versions that keep their pods without traffic
  std::string stable_conflict;  // set: the ModelVersion of stable has another digest, with this message, so no pods may be rendered from it
};

// Its problem is why an object could not be rendered: RuntimeNotFound | InvalidTemplate | InvalidRoute | InvalidAutoscaling |
// ConfigMapNotFound | AdoptionBlocked | ServiceNameTaken | VersionConflict.
struct Served : Part {
  std::string not_sticky;  // why spec.serving.route.sessionPersistence is not in effect
  std::optional<api::Adopted> adopted;  // the next status.adopted
};

Served serve(const Observed& observed, const Wanted& wanted, const Settings& settings, TimePoint now);

}  // namespace mo::serving
