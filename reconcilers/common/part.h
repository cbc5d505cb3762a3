// What each part of a Model's plan says beside its own decision. Every subject's decision is a Part; the planner merges them in one order.
#pragma once

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "operator/core/plan.h"

namespace mo {

// The sooner of two moments at which to look again.
inline void sooner(std::optional<TimePoint>& at, const std::optional<TimePoint>& other) {
  if (other && (!at || *other < *at)) at = other;
}

template <class T>
void append(std::vector<T>& to, std::vector<T> from) {
  std::move(from.begin(), from.end(), std::back_inserter(to));
}

struct Part {
  std::vector<Action> actions;  // what follows from the decision; carried out once all statuses are on record
  std::vector<Ask> asks;
  std::vector<Event> events;
  std::optional<TimePoint> look_again;
  std::string problem_reason, problem;  // why it cannot do what the spec asks for: a reason in CamelCase, and a sentence; empty: it can

  void look_again_at(const std::optional<TimePoint>& at) { sooner(look_again, at); }
  // All that `other` says, but for its problem: what becomes of that each part decides.
  void take(Part&& other) {
    append(actions, std::move(other.actions));
    append(asks, std::move(other.asks));
    append(events, std::move(other.events));
    look_again_at(other.look_again);
  }
};

}  // namespace mo
