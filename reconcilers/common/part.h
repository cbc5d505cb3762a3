// The common result of every subject. Each subject's decision derives from Part; the planner merges all parts in one order.
#pragma once

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "operator/core/plan.h"

namespace mo {

// The earlier of two requeue times.
inline void sooner(std::optional<TimePoint>& at, const std::optional<TimePoint>& other) {
  if (other && (!at || *other < *at)) at = other;
}

template <class T>
void append(std::vector<T>& to, std::vector<T> from) {
  std::move(from.begin(), from.end(), std::back_inserter(to));
}

struct Part {
  std::vector<Action> actions;  // carried out after all statuses are written
  std::vector<Ask> asks;
  std::vector<Event> events;
  std::optional<TimePoint> look_again;
  std::string problem_reason, problem;  // why the spec cannot be fulfilled: a CamelCase reason and a message; empty: no problem

  void look_again_at(const std::optional<TimePoint>& at) { sooner(look_again, at); }
  // Appends everything of `other` except its problem, which the caller handles.
  void take(Part&& other) {
    append(actions, std::move(other.actions));
    append(asks, std::move(other.asks));
    append(events, std::move(other.events));
    look_again_at(other.look_again);
  }
};

}  // namespace mo
