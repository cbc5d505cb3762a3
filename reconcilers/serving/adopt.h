// A Deployment that served before the Model did (spec.serving.adopt) serves until a version of the Model can take its place, and again before
// the Model is gone. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/json/json.h"
#include "reconcilers/common/observed.h"

namespace mo::serving {

struct Adoption {
  std::optional<api::Adopted> status;  // what is to be on record
  bool holds_service = false;          // the Service of the Model's name is not to be touched yet
  std::string service_uid;             // the Service that is there to be taken over; empty: there is none
  std::vector<Action> actions;
  std::vector<Ask> asks;
  std::string problem;  // for people
  std::optional<TimePoint> look_again;
};

// `can_serve`: the pods are ready that would get the traffic.
Adoption adopt(const Observed& observed, bool can_serve, TimePoint now);

Json to_json(const api::Adopted& adopted);

// For a Model that is being deleted. It goes once nothing is left to do.
Plan give_back(const Observed& observed, TimePoint now);

}  // namespace mo::serving
