// From the sides (side.h) that should serve, and how much, to the writes that get there from what there is. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reconcilers/common/observed.h"
#include "reconcilers/serving/ground.h"
#include "reconcilers/serving/render.h"

namespace mo::serving {

// What is wanted of traffic.
struct Wanted {
  std::string stable, candidate;  // sides; may be empty
  // What the two are made of; nothing, or a record without a pod template: what the spec says now.
  std::optional<api::Revision> stable_revision, candidate_revision;
  int weight = 0;  // the candidate's
  bool candidate_pods = false;
  bool reach_candidate = true;           // by a Service of its own before it has traffic; with a route in any case
  int warm_for = 0;                      // at weight 0: the weight whose pods the candidate gets ready for
  std::optional<int> candidate_replicas;  // instead, until it has all traffic; with a route alone
  Apart apart;                            // with a route alone
  bool keep_stable = false;              // the candidate has all traffic, and stable all its pods, to go back to at once
  bool draining = false;                 // back to stable alone
  bool recreate = false;                 // one version's pods go before the other's come
  std::map<std::string, std::string> headers;  // that answers by the route bear
  std::vector<std::string> warm;         // versions that keep their pods without traffic
  std::optional<TimePoint> drain_until;  // when the way back to stable alone stops to wait for stable's pods
  std::string stable_conflict;  // set: the record of stable is that of other bits, for this reason, and none of its pods may be made of it
};

struct Served {
  std::vector<Action> actions;
  std::vector<Ask> asks;
  std::string problem;  // why something could not even be rendered (no runtime, unusable URI), for people
  std::string problem_reason;  // RuntimeNotFound | InvalidTemplate | InvalidRoute | InvalidAutoscaling |
                               // ConfigMapNotFound | AdoptionBlocked | ServiceNameTaken | VersionConflict
  std::string not_sticky;  // why callers don't stay with a version although spec.serving.route.sessionPersistence says so
  std::optional<TimePoint> look_again;
  std::optional<api::Adopted> adopted;  // what is to be on record of spec.serving.adopt
};

Served serve(const Observed& observed, const Wanted& wanted, const Settings& settings, TimePoint now);

}  // namespace mo::serving
