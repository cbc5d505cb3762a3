// A Deployment that served before the Model did (spec.serving.adopt) serves until a version of the Model can take its place, and again before
// the Model is gone. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/json/json.h"
#include "reconcilers/common/observed.h"
#include "reconcilers/common/part.h"

namespace mo::serving {

struct Adoption : Part {
  std::optional<api::Adopted> status;  // what is to be on record
  bool holds_service = false;          // the Service of the Model's name is not to be touched yet
  api::ObjectMeta service;             // the UID and resourceVersion of the one that is to be taken over now; empty: none is
};

// Who may have the traffic of the Model's Service.
enum class Successor {
  None,    // no version is to have any: the first one failed
  Coming,  // its pods are not all ready yet
  Ready,
};

Adoption adopt(const Observed& observed, Successor successor, TimePoint now);

// For a Model that is being deleted. It goes once nothing is left to do, or ten minutes after it began.
Plan give_back(const Observed& observed, TimePoint now);

}  // namespace mo::serving
