// What the parsers of Kubernetes' own kinds share. For parse_kubernetes.cpp and parse_pod.cpp alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "operator/api/read.h"

namespace mo::api::read {

// Only what all kinds' conditions have.
struct PlainCondition {
  std::string type, status, reason, message;
  std::optional<TimePoint> last_transition;
};
inline constexpr Field<PlainCondition> kPlainCondition[] = {
    {"type", member<&PlainCondition::type>},
    {"status", member<&PlainCondition::status>},
    {"reason", member<&PlainCondition::reason>},
    {"message", member<&PlainCondition::message>},
    {"lastTransitionTime", member<&PlainCondition::last_transition>},
};

template <class Visitor>
void each_condition(value& v, const Path& at, const Visitor& visit) {
  each_item(v, at, [&](value& item, const Path& here) {
    PlainCondition condition;
    if (read_object(item, condition, kPlainCondition, here)) visit(condition);
  });
}

inline std::string joined(const std::string& reason, const std::string& message) {
  return reason.empty() || message.empty() ? reason + message : reason + ": " + message;
}

// `take(Extra&, T&)` puts what came from the metadata where the kind keeps it.
template <class T, size_t N>
Result<T> parse_with(std::string_view json, const Field<Root<T>> (&table)[N], Coverage* coverage) {
  Report report{{}, {}, coverage};
  auto root = read_root(json, table, report);
  if (!root) return fail(root.error());
  take(root->extra, root->object);
  return std::move(root->object);
}

}  // namespace mo::api::read
