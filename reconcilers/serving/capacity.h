// Weights as replicas: how many pods each version needs so that an even spread over ready pods is the weight.
#pragma once

#include <cstdint>

namespace mo::serving {

// Replica counts come from specs and from Deployments that others may write, up to the largest int: sums of them stop
// there.
int plus(int a, int b);

struct Capacity {
  int stable = 0;
  int candidate = 0;
  bool operator==(const Capacity&) const = default;
};

// What `weight` percent (0..100) for the candidate needs of a Model that asks for `replicas` pods:
//   candidate >= ceil(replicas * weight / 100), at least one once weight > 0;
//   stable >= ceil(replicas * (100 - weight) / 100), and so many that candidate / (candidate + stable) never
//   exceeds the weight.
// Few replicas and a small weight so need more stable pods than the Model asks for (3 replicas at 10 %: 9 +
// 1).
Capacity capacity_for(int replicas, int weight);

// The same where a route gives the weight: stable keeps all its pods, so that the way back is one write, and
// the candidate has its share of pods on top.
Capacity routed_capacity_for(int replicas, int weight);

// The smallest weight that may be asked without `capacity_for` needing more than max(2 * replicas, replicas +
// 20) pods.
int smallest_weight(int replicas);

// Where there is room for `limit` pods (at least `replicas`) and no more: as capacity_for() if that fits, else the
// weight rounded down to whole pods, with stable in the rest. The candidate may so get none.
Capacity capacity_within(int limit, int replicas, int weight);

// The smallest weight that gives the candidate a pod within `limit`.
int smallest_weight_within(int limit, int replicas);

// What is there now.
struct Pods {
  bool exists = false;
  int wanted = 0;   // spec.replicas
  int running = 0;  // status.replicas, ready or not
  int ready = 0;
  int holding = 0;      // pods that are there and take up room, those that end included
  bool counted = true;  // `ready` is of the size that is wanted
};

// The next replica counts on the way to `goal` at `weight`, given what is there: traffic is on both versions,
// so the candidate grows only where the ratio allows it, and stable shrinks only when the candidate carries
// its part.
Capacity next_step(const Capacity& goal, int weight, const Pods& stable, const Pods& candidate);

// How many pods may exist while a Model rolls with spec.serving.maxSurge.
struct PodBudget {
  int limit = 0;      // pods of the Model at any time, those that end included
  int replicas = 0;
  int elsewhere = 0;  // pods that are neither stable's nor the candidate's
  bool shared = false;  // both have traffic
  int spare(const Pods& stable, const Pods& candidate) const;  // at least 0
  // So many pods may be missing for a while: without any surge one has to go before one comes.
  int gap() const { return limit > replicas ? 0 : 1; }
};

// The next replica counts on the way to `goal`, pod by pod where there is no room to do more at once: one grows only
// into room that is free, and stable gives way only as far as those that serve stay replicas - gap(), and the
// candidate within `weight`.
Capacity next_step_within(const PodBudget& budget, const Capacity& goal, int weight, const Pods& stable,
                          const Pods& candidate);

// The candidate, fully started, would get no more than `weight` of the traffic if both versions were selected
// now.
bool ratio_holds(int weight, const Pods& stable, const Pods& candidate);

// Both versions have the ready pods that the weight needs.
bool reached(const Capacity& goal, const Pods& stable, const Pods& candidate);

// On the way back to stable alone: stable grows at once, the candidate gives way as stable becomes ready.
Capacity next_step_back(int replicas, const Pods& stable, const Pods& candidate);
Capacity next_step_back_within(const PodBudget& budget, const Pods& stable, const Pods& candidate);

}  // namespace mo::serving
