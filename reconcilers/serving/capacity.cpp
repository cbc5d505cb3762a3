#include "reconcilers/serving/capacity.h"

#include <algorithm>
#include <limits>

namespace mo::serving {
namespace {
int to_int(int64_t value) {
  return static_cast<int>(std::clamp<int64_t>(value, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()));
}
int ceil_div(int64_t a, int64_t b) { return to_int((a + b - 1) / b); }
int64_t sum(const Capacity& c) { return int64_t{c.stable} + c.candidate; }
}  // namespace

int plus(int a, int b) { return to_int(int64_t{a} + b); }

Capacity capacity_for(int replicas, int weight) {
  if (replicas == 0) return {0, 0};
  if (weight <= 0) return {replicas, 0};
  if (weight >= 100) return {0, replicas};
  const int candidate = std::max(1, ceil_div(int64_t{replicas} * weight, 100));
  const int needed = ceil_div(int64_t{replicas} * (100 - weight), 100);
  const int diluting = ceil_div(int64_t{candidate} * (100 - weight), weight);
  return {std::max(needed, diluting), candidate};
}

Capacity routed_capacity_for(int replicas, int weight) {
  if (weight <= 0 || replicas == 0) return {replicas, 0};
  return {replicas, std::max(1, ceil_div(int64_t{replicas} * weight, 100))};
}

int smallest_weight(int replicas) {
  const int64_t limit = std::max(int64_t{replicas} * 2, int64_t{replicas} + 20);
  for (int weight = 1; weight < 100; ++weight) {
    const Capacity c = capacity_for(replicas, weight);
    if (sum(c) <= limit) return weight;
  }
  return 100;
}

Capacity capacity_within(int limit, int replicas, int weight) {
  const Capacity free = capacity_for(replicas, weight);
  if (sum(free) <= limit) return free;
  const int candidate = static_cast<int>(int64_t{limit} * weight / 100);
  return {limit - candidate, candidate};
}

int smallest_weight_within(int limit, int replicas) {
  int weight = 1;
  while (weight < 100 && capacity_within(limit, replicas, weight).candidate == 0) ++weight;
  return weight;
}

int PodBudget::spare(const Pods& stable, const Pods& candidate) const {
  return std::max(0, to_int(int64_t{limit} - elsewhere - std::max(stable.holding, stable.wanted) -
                            std::max(candidate.holding, candidate.wanted)));
}

Capacity next_step_within(const PodBudget& budget, const Capacity& goal, int weight, const Pods& stable,
                          const Pods& candidate) {
  int spare = budget.spare(stable, candidate);
  Capacity next{stable.wanted, candidate.wanted};
  if (goal.stable > stable.wanted) {
    next.stable = std::min(goal.stable, plus(stable.wanted, spare));
    spare -= next.stable - stable.wanted;
  } else if (stable.counted) {
    const int serving = plus(stable.ready, budget.shared ? candidate.ready : 0);
    const int unready = stable.wanted - stable.ready;  // these go first
    const int may = plus(unready, std::max(0, serving - (budget.replicas - budget.gap())));
    const int growth = goal.candidate - candidate.wanted;
    const int asked = growth > 0                           ? std::max(0, growth - spare)
                      : candidate.ready >= goal.candidate ? stable.wanted
                                                          : 0;
    const int pods = std::max(candidate.running, candidate.wanted);
    const int diluting = weight <= 0 || weight >= 100 ? 0 : ceil_div(int64_t{pods} * (100 - weight), weight);
    next.stable = std::min(stable.wanted,
                           std::max({goal.stable, diluting, stable.wanted - std::min(may, asked)}));
  }
  if (goal.candidate <= candidate.wanted) {
    next.candidate = goal.candidate;
  } else {
    int most = goal.candidate;
    if (weight < 100)
      most = to_int(int64_t{std::min(stable.ready, next.stable)} * weight / (100 - weight));
    next.candidate = std::clamp(most, candidate.wanted, std::min(goal.candidate, plus(candidate.wanted, spare)));
  }
  return next;
}

Capacity next_step_back_within(const PodBudget& budget, const Pods& stable, const Pods& candidate) {
  const int replicas = budget.replicas;
  const int stay = stable.ready >= replicas ? 0 : std::max(0, replicas - budget.gap() - stable.ready);
  const int grown = std::min(replicas, plus(stable.wanted, budget.spare(stable, candidate)));
  return {std::max(grown, std::min(stable.wanted, replicas)), std::min(candidate.wanted, stay)};
}

bool ratio_holds(int weight, const Pods& stable, const Pods& candidate) {
  const int64_t pods = std::max(candidate.running, candidate.wanted);
  return pods * (100 - weight) <= int64_t{stable.ready} * weight;
}

Capacity next_step(const Capacity& goal, int weight, const Pods& stable, const Pods& candidate) {
  Capacity next{goal.stable, goal.candidate};
  // Stable gives way only to a candidate that carries its part, and never so far that the pods of the
  // candidate, those that are yet to go included, would have more than their weight: when both shrink, the
  // candidate does so first.
  Pods shrunk = stable;
  shrunk.ready = std::min(stable.ready, goal.stable);
  if (goal.stable < stable.wanted &&
      (candidate.ready < goal.candidate || !ratio_holds(weight, shrunk, candidate)))
    next.stable = stable.wanted;
  if (goal.candidate > candidate.wanted) {
    Pods grown = candidate;
    grown.wanted = goal.candidate;
    // Counted against the smaller of what is ready and what will stay.
    Pods steady = stable;
    steady.ready = std::min(stable.ready, std::max(next.stable, 0));
    if (!ratio_holds(weight, steady, grown)) next.candidate = candidate.wanted;
  }
  return next;
}

bool reached(const Capacity& goal, const Pods& stable, const Pods& candidate) {
  return stable.ready >= goal.stable && candidate.ready >= goal.candidate && stable.wanted == goal.stable &&
         candidate.wanted == goal.candidate;
}

Capacity next_step_back(int replicas, const Pods& stable, const Pods& candidate) {
  return {replicas, std::min(candidate.wanted, std::max(0, replicas - stable.ready))};
}

}  // namespace mo::serving
