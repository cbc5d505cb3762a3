// Weights as replicas: properties over all sizes and weights, not examples.
#include <algorithm>
#include <catch2/catch.hpp>

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
