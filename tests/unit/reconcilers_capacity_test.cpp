// Weights as replicas: properties over all sizes and weights, not examples.
#include <algorithm>
#include <catch2/catch.hpp>
#include <limits>
#include <rapidcheck.h>

#include "reconcilers/serving/capacity.h"

namespace mo::serving {
namespace {

constexpr int kMostReplicas = 50;

template <class F>
void for_all(F check) {
  for (int replicas = 0; replicas <= kMostReplicas; ++replicas)
    for (int weight = 0; weight <= 100; ++weight) check(replicas, weight);
}

// One Catch assertion a size, not one a pair: they are slow.
template <class F>
void always(const char* what, F holds) {
  std::string broken;
  for_all([&](int replicas, int weight) {
    if (broken.empty() && !holds(replicas, weight))
      broken = std::to_string(replicas) + " replicas at " + std::to_string(weight) + " %";
  });
  INFO(what);
  CHECK(broken == "");
}

TEST_CASE("capacity keeps the weight and what it needs") {
  always("the candidate's share never exceeds its weight", [](int n, int w) {
    const Capacity c = capacity_for(n, w);
    return c.candidate * 100 <= (c.stable + c.candidate) * w || c.candidate == 0;
  });
  always("stable never has less than its weight needs",
         [](int n, int w) { return capacity_for(n, w).stable * 100 >= n * (100 - w); });
  always("the candidate never has less than its weight needs",
         [](int n, int w) { return capacity_for(n, w).candidate * 100 >= n * w; });
  always("a weight above 0 has a pod, if the Model has any",
         [](int n, int w) { return (capacity_for(n, w).candidate > 0) == (n > 0 && w > 0); });
  always("together they are never fewer than the Model asks for", [](int n, int w) {
    const Capacity c = capacity_for(n, w);
    return c.stable + c.candidate >= n;
  });
  always("a greater weight never has fewer candidates", [](int n, int w) {
    return w == 100 || capacity_for(n, w).candidate <= capacity_for(n, w + 1).candidate;
  });
}

TEST_CASE("capacity at its ends") {
  CHECK(capacity_for(3, 0) == Capacity{3, 0});
  CHECK(capacity_for(3, 100) == Capacity{0, 3});
  CHECK(capacity_for(0, 50) == Capacity{0, 0});
  CHECK(capacity_for(3, 10) == Capacity{9, 1});
  CHECK(capacity_for(10, 50) == Capacity{5, 5});
}

TEST_CASE("the smallest weight needs a bearable number of pods, and no smaller one does") {
  for (int n = 1; n <= kMostReplicas; ++n) {
    const int limit = std::max(2 * n, n + 20), weight = smallest_weight(n);
    const Capacity c = capacity_for(n, weight);
    CHECK(c.stable + c.candidate <= limit);
    if (weight == 1) continue;
    const Capacity smaller = capacity_for(n, weight - 1);
    CHECK(smaller.stable + smaller.candidate > limit);
  }
}

// Whoever may write a Deployment may give it two thousand million replicas.
TEST_CASE("no count of replicas makes the arithmetic overflow") {
  static constexpr int kMost = std::numeric_limits<int>::max();
  const auto count = [] {
    return *rc::gen::oneOf(rc::gen::inRange(0, 100), rc::gen::inRange(kMost - 100, kMost), rc::gen::just(kMost),
                           rc::gen::inRange(0, kMost));
  };
  const auto size = [&](const char* what, const Capacity& c) {
    if (c.stable < 0 || c.candidate < 0) RC_FAIL(what);
  };
  CHECK(rc::check([&] {
    const int n = count(), weight = *rc::gen::inRange(0, 101), smallest = smallest_weight(n);
    RC_ASSERT(smallest >= 1 && smallest <= 100);
    size("capacity_for", capacity_for(n, weight));
    size("routed_capacity_for", routed_capacity_for(n, weight));
    const int limit = std::max(n, count());
    const Capacity within = capacity_within(limit, n, weight);
    size("capacity_within", within);
    RC_ASSERT(int64_t{within.stable} + within.candidate <= limit);
    const auto pods = [&] {
      const int wanted = count();
      return Pods{true, wanted, count(), std::min(wanted, count()), count(), *rc::gen::arbitrary<bool>()};
    };
    const Pods stable = pods(), candidate = pods();
    const PodBudget budget{limit, n, count(), *rc::gen::arbitrary<bool>()};
    RC_ASSERT(budget.spare(stable, candidate) >= 0);
    size("next_step", next_step(within, weight, stable, candidate));
    size("next_step_within", next_step_within(budget, within, weight, stable, candidate));
    size("next_step_back", next_step_back(n, stable, candidate));
    size("next_step_back_within", next_step_back_within(budget, stable, candidate));
    reached(within, stable, candidate);
  }));
  CHECK(plus(kMost, 1) == kMost);
  CHECK(smallest_weight(kMost) == 1);
}

// Pods that do at once what they are told.
Pods pods(int n) { return {true, n, n, n}; }

// From every weight to every later one, a step at a time: no step exceeds the weight or leaves anyone short.
TEST_CASE("each step from one weight to the next keeps the weight and what it needs") {
  std::string broken;
  for (int n = 1; n <= 20; ++n)
    for (int from = 1; from <= 95; from += 5)
      for (int to = from; to < 100; to += 7) {
        const Capacity goal = capacity_for(n, to);
        Capacity now = capacity_for(n, from);
        for (int steps = 0; !(now == goal); ++steps) {
          const Capacity next = next_step(goal, to, pods(now.stable), pods(now.candidate));
          // The Deployments may carry out the two in either order.
          const bool keeps_weight =
              next.candidate * 100 <= (std::min(now.stable, next.stable) + next.candidate) * to;
          const bool keeps_need = std::min(now.stable, next.stable) * 100 >= n * (100 - to);
          if (!keeps_weight || !keeps_need || steps > 10)
            broken =
                std::to_string(n) + " replicas from " + std::to_string(from) + " to " + std::to_string(to);
          if (!broken.empty()) break;
          now = next;
        }
      }
  CHECK(broken == "");
}

TEST_CASE("within a limit the weight is rounded down to whole pods") {
  for (int surge : {0, 1, 3})
    always("neither the limit nor the weight is exceeded, and stable has what its weight needs", [&](int n, int w) {
      const Capacity c = capacity_within(n + surge, n, w);
      return c.stable + c.candidate <= n + surge && c.stable + c.candidate >= n &&
             c.candidate * 100 <= (c.stable + c.candidate) * w && c.stable * 100 >= n * (100 - w);
    });
  CHECK(capacity_within(3, 3, 34) == Capacity{2, 1});
  CHECK(capacity_within(3, 3, 33) == Capacity{3, 0});
  CHECK(smallest_weight_within(3, 3) == 34);
  CHECK(smallest_weight_within(1, 1) == 100);
}

struct Walk {
  int n, surge, from, to;
  std::string text() const {
    return std::to_string(n) + " + " + std::to_string(surge) + " pods from " + std::to_string(from) + " to " +
           std::to_string(to);
  }
};

// Pods that come and go at once, but never before they are told: what is left of `walk` once nothing moves.
std::string walk_within(const Walk& walk) {
  const PodBudget budget{walk.n + walk.surge, walk.n, 0, walk.from > 0};
  const auto pods = [](int wanted) { return Pods{true, wanted, wanted, wanted, wanted, true}; };
  Capacity goal = capacity_within(budget.limit, walk.n, walk.to), now = capacity_within(budget.limit, walk.n, walk.from);
  if (walk.to == 100) goal.stable = 0;
  for (int steps = 0; !(now == goal); ++steps) {
    const Capacity next = next_step_within(budget, goal, walk.to, pods(now.stable), pods(now.candidate));
    const int fewest = std::min(now.stable, next.stable);
    if (next == now || steps > 300) return "stands still at " + std::to_string(now.stable) + " + " + std::to_string(now.candidate);
    if (std::max(now.stable, next.stable) + std::max(now.candidate, next.candidate) > budget.limit) return "too many pods";
    if (walk.from > 0 && fewest + std::min(now.candidate, next.candidate) < walk.n - budget.gap()) return "too few pods";
    if (walk.from > 0 && next.candidate * (100 - walk.to) > fewest * walk.to) return "more than the weight";
    now = next;
  }
  return "";
}

TEST_CASE("within a limit each step keeps it, the weight and what serves, whatever the Deployments do first") {
  std::string broken;
  for (int n = 2; n <= 12; ++n)
    for (int surge : {0, 1, 2, 5})
      for (int from = 10; from <= 100; from += 9)
        for (int to = from; to <= 100; to += 5) {
          const Walk walk{n, surge, from, to};
          if (capacity_within(n + surge, n, from).candidate == 0 || !broken.empty()) continue;
          const std::string problem = walk_within(walk);
          if (!problem.empty()) broken = walk.text() + ": " + problem;
        }
  CHECK(broken == "");
}

TEST_CASE("pods that end take up room") {
  const PodBudget budget{3, 3, 0, true};
  const Pods ending{true, 2, 2, 2, 3, true}, none{true, 0, 0, 0, 0, true};
  CHECK(next_step_within(budget, {2, 1}, 34, ending, none) == Capacity{2, 0});
  CHECK(next_step_within(budget, {2, 1}, 34, pods(2), none) == Capacity{2, 1});
  const PodBudget crowded{3, 3, 1, true};  // by a pod of an earlier version
  CHECK(next_step_within(crowded, {2, 1}, 34, pods(2), none) == Capacity{2, 0});
}

TEST_CASE("without room the way back goes pod by pod") {
  const PodBudget budget{3, 3, 0, true};
  const auto back = [&](int stable, int candidate) {
    return next_step_back_within(budget, {true, stable, stable, stable, stable, true},
                                 {true, candidate, candidate, candidate, candidate, true});
  };
  CHECK(back(1, 2) == Capacity{1, 1});
  CHECK(back(1, 1) == Capacity{2, 1});
  CHECK(back(2, 1) == Capacity{2, 0});
  CHECK(back(2, 0) == Capacity{3, 0});
  CHECK(back(0, 3) == Capacity{0, 2});
}

TEST_CASE("stable waits for the candidate to carry its part") {
  const Capacity goal = capacity_for(10, 50);
  CHECK(next_step(goal, 50, pods(10), {true, 5, 5, 3}) == Capacity{10, 5});
  CHECK(next_step(goal, 50, pods(10), pods(5)) == Capacity{5, 5});
}

// Scaled down in a canary both shrank at once; whichever lost its pods first, the candidate had more than its
// weight for a while.
TEST_CASE("when both shrink the candidate does so first") {
  CHECK(next_step({0, 0}, 10, pods(9), pods(1)) == Capacity{9, 0});
  CHECK(next_step({0, 0}, 10, pods(9), {true, 0, 1, 1}) == Capacity{9, 0});
  CHECK(next_step({0, 0}, 10, pods(9), {true, 0, 0, 0}) == Capacity{0, 0});
}

TEST_CASE("on the way back the candidate gives way as stable comes") {
  CHECK(next_step_back(4, pods(2), pods(2)) == Capacity{4, 2});
  CHECK(next_step_back(4, {true, 4, 4, 3}, pods(2)) == Capacity{4, 1});
  CHECK(next_step_back(4, pods(4), pods(2)) == Capacity{4, 0});
}

}  // namespace
}  // namespace mo::serving
