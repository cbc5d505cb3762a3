// What serves now, as far as rollouts have to know.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/api/types.h"
#include "reconcilers/serving/capacity.h"

namespace mo::serving {

// What the HTTPRoute sends to the candidate beside its weight.
struct RouteRules {
  std::vector<api::HeaderMatch> header_matches;  // requests with all of these headers go to the candidate; empty: no such rule
  bool mirrored = false;  // the candidate gets a copy of each request; its answers are dropped
  bool any() const { return mirrored || !header_matches.empty(); }
  bool operator==(const RouteRules&) const = default;
};

// The desired traffic: decided by a rollout, carried out by serving.
struct TrafficTarget {
  int weight = 0;                         // the candidate's
  bool candidate_pods = false;            // the candidate's pods are needed, at weight 0 for the first weight to come
  bool reach_candidate = true;            // by its own Service before it has traffic; always with a route
  int warm_for = 0;                       // at weight 0: the weight whose pods the candidate gets ready for
  std::optional<int> candidate_replicas;  // instead, until it has all traffic; only with a route
  RouteRules rules;                       // only with a route
  bool keep_stable = false;               // the candidate has all traffic, and stable keeps all its pods for a rollback
  bool draining = false;                  // back to stable alone
  bool recreate = false;                  // pods of one version are deleted before those of the other are created
  std::optional<TimePoint> drain_until;   // when a rollback stops waiting for stable's pods
};

// The artifact download of pods that are not ready yet.
struct Fetching {
  std::optional<TimePoint> since;  // a pod fetches, at its first attempt
  std::optional<TimePoint> done;   // when the last finished pod had it
  Duration most{0};                // maximum time of a first attempt
  // The start of the progress deadline for pods that wait since `waiting`: when the artifact is on the node, at the latest after the
  // maximum time of a first attempt.
  TimePoint counts_from(TimePoint waiting) const;
};

struct ServingState {
  int replicas = 0;        // spec.serving.replicas
  std::optional<int> limit;  // maximum number of pods, with spec.serving.maxSurge
  int elsewhere = 0;         // pods of neither version
  Pods stable, candidate;  // `ready` is conservative; pods_of() is for messages
  // What the Model's Service selects.
  enum class Selected { Nobody, Stable, Both, Candidate } selected = Selected::Nobody;
  // With spec.serving.route the HTTPRoute has the exact weights; without it the replica counts make them.
  bool routed = false;
  int route_weight = 0;         // the candidate's weight in the HTTPRoute
  RouteRules route_rules;
  bool route_taken_up = false;  // its Gateways accepted the current spec
  bool route_reaches = false;   // EndpointSlices of Service <model> list a pod of the selected side
  std::string route_problem;    // why they did not, after a grace period
  bool candidate_settled =
      false;          // every candidate pod runs the template that was last applied, and is ready
  std::string stray;  // a pod or Deployment of an earlier rollout that would get traffic if every version
                      // were selected
  Fetching candidate_fetching;
  std::string candidate_problem;  // why pods are missing or not ready, as reported by the cluster
  bool digest_mismatch = false;   // of the candidate
  bool bad_signature = false;     // of the candidate
  bool adopting = false;          // the Model's Service still selects the adopted Deployment
  // The candidate's pods while it shares traffic with a route; set by the caller.
  std::optional<int> candidate_replicas;

  // The pods that `weight` needs.
  Capacity goal(int weight) const;
  // The pods that the candidate gets at weight 0, to be ready for `weight`.
  int warm_goal(int weight) const;
  bool warm_for(int weight) const;
  // The maximum of these with maxSurge.
  int most_warm() const;
  // `weight` is reached: the Service selects the right sides and their pods are ready.
  bool at(int weight) const;
  // The candidate has the ready pods for `weight`, whatever the Service selects.
  bool candidate_ready_for(int weight) const;
  // The candidate has this many ready pods of the last applied template.
  bool candidate_has(int pods) const;
};

}  // namespace mo::serving
