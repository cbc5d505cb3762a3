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

// What serving is to do: written by a rollout, carried out by serving.
struct TrafficTarget {
  int weight = 0;                         // the candidate's
  bool candidate_pods = false;            // the candidate's pods are needed, at weight 0 for the first weight to come
  bool reach_candidate = true;            // by a Service of its own before it has traffic; with a route in any case
  int warm_for = 0;                       // at weight 0: the weight whose pods the candidate gets ready for
  std::optional<int> candidate_replicas;  // instead, until it has all traffic; with a route alone
  RouteRules rules;                            // with a route alone
  bool keep_stable = false;               // the candidate has all traffic, and stable all its pods, to go back to at once
  bool draining = false;                  // back to stable alone
  bool recreate = false;                  // one version's pods go before the other's come
  std::optional<TimePoint> drain_until;   // when the way back to stable alone stops to wait for stable's pods
};

// How far pods that are not ready yet are with fetching what they serve.
struct Fetching {
  std::optional<TimePoint> since;  // one fetches, at its first try
  std::optional<TimePoint> done;   // the last of them that has it had it
  Duration most{0};                // so long a first try may take
  // From when on pods have a progress deadline to get ready that wait since `waiting`: from when the weights are on the node, yet no later
  // than a first try may take.
  TimePoint counts_from(TimePoint waiting) const;
};

struct ServingState {
  int replicas = 0;        // that the Model asks for
  std::optional<int> limit;  // pods that there may be, with spec.serving.maxSurge
  int elsewhere = 0;         // pods of neither version
  Pods stable, candidate;  // `ready` as far as it can be relied on: for people there is pods_of()
  // Whom the Model's Service selects.
  enum class Selected { Nobody, Stable, Both, Candidate } selected = Selected::Nobody;
  // With spec.serving.route the weights are the HTTPRoute's, exactly; without it replicas are.
  bool routed = false;
  int route_weight = 0;         // that the HTTPRoute gives the candidate
  RouteRules route_rules;
  bool route_taken_up = false;  // by its gateways, as it is now
  bool route_reaches = false;   // the Service <model> leads to some pod of whom it selects
  std::string route_problem;    // why they don't, once that is no matter of moments
  bool candidate_settled =
      false;          // every candidate pod runs the template that was last applied, and is ready
  std::string stray;  // a pod or Deployment of an earlier rollout that would get traffic if every version
                      // were selected
  Fetching candidate_fetching;
  std::string candidate_problem;  // why pods are not ready or not there, in the cluster's own words
  bool digest_mismatch = false;   // of the candidate
  bool bad_signature = false;     // of the candidate
  bool adopting = false;          // what served before has the Model's Service yet
  // Pods that the rollout gives the candidate while it shares traffic by a route; set by who knows the rollout.
  std::optional<int> candidate_replicas;

  // The pods that `weight` needs.
  Capacity goal(int weight) const;
  // The pods that the candidate gets at weight 0, to be ready for `weight`.
  int warm_goal(int weight) const;
  bool warm_for(int weight) const;
  // The most that it may have then where room is scarce.
  int most_warm() const;
  // `weight` is what there is: the Service selects whom it should and the pods that it takes are ready.
  bool at(int weight) const;
  // The candidate has the pods that `weight` will need, ready, whoever is selected.
  bool candidate_ready_for(int weight) const;
  // So many, of the template that was last applied.
  bool candidate_has(int pods) const;
};

}  // namespace mo::serving
