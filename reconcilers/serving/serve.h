// From the versions that should serve, and how much, to the writes that get there from what there is. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reconcilers/common/observed.h"
#include "reconcilers/serving/ground.h"
#include "reconcilers/serving/render.h"

namespace mo::serving {

// What is wanted of traffic. Stable and candidate may be empty.
struct Wanted {
  std::string stable;
  std::string candidate;
  int weight = 0;  // the candidate's
  bool candidate_pods = false;
  int warm_for = 0;                      // at weight 0: the weight whose pods the candidate gets ready for
  std::optional<int> candidate_replicas;  // instead, until it has all traffic; with a route alone
  Apart apart;                            // with a route alone
  bool draining = false;                 // back to stable alone
  bool recreate = false;                 // one version's pods go before the other's come
  std::vector<std::string> warm;         // versions that keep their pods without traffic
  std::optional<TimePoint> drain_until;  // when the way back to stable alone stops to wait for stable's pods
  bool freeze_stable = false;  // stable keeps the template that it has: the spec speaks of another version
};

struct Served {
  std::vector<Action> actions;
  std::vector<Ask> asks;
  std::string problem;  // why something could not even be rendered (no runtime, unusable URI), for people
  std::string problem_reason;  // RuntimeNotFound | InvalidTemplate | InvalidRoute | InvalidAutoscaling |
                               // ConfigMapNotFound | AdoptionBlocked
  std::optional<TimePoint> look_again;
  std::optional<api::Adopted> adopted;  // what is to be on record of spec.serving.adopt
};

// The facts about `stable` and `candidate` (either may be empty).
Ground survey(const Observed& observed, const std::string& stable, const std::string& candidate,
              TimePoint now);

Served serve(const Observed& observed, const Wanted& wanted, const Settings& settings, TimePoint now);

// "fraud-v1: ErrImagePull: …" for a version whose pods are not ready; empty if nothing is known.
std::string pods_problem(const Observed& observed, const std::string& version);

Pods pods_of(const Observed& observed, const std::string& version);
// All pods run what was last applied and are ready.
bool settled(const Observed& observed, const std::string& version);

}  // namespace mo::serving
