// From the sides (side.h) that should serve, and how much, to the writes that get there from what there is. Pure.
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

// What is wanted of traffic, and between whom.
struct Wanted : TrafficTarget {
  std::string stable, candidate;  // sides; may be empty
  // What the two are made of; nothing, or a record without a pod template: what the spec says now.
  std::optional<api::Revision> stable_revision, candidate_revision;
  std::map<std::string, std::string> headers;  // that answers by the route bear
  std::vector<std::string> warm;               // versions that keep their pods without traffic
  std::string stable_conflict;  // set: the record of stable is that of other bits, for this reason, and none of its pods may be made of it
};

// Its problem is why something could not even be rendered: RuntimeNotFound | InvalidTemplate | InvalidRoute | InvalidAutoscaling |
// ConfigMapNotFound | AdoptionBlocked | ServiceNameTaken | VersionConflict.
struct Served : Part {
  std::string not_sticky;  // why callers don't stay with a version although spec.serving.route.sessionPersistence says so
  std::optional<api::Adopted> adopted;  // what is to be on record of spec.serving.adopt
};

Served serve(const Observed& observed, const Wanted& wanted, const Settings& settings, TimePoint now);

}  // namespace mo::serving
