// Where a Model stands between development and retirement: spec.lifecycle, and what status remembers of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/core/time.h"

namespace mo::api {

struct Lifecycle {
  enum class Stage { Development, Staging, Production, Deprecated, Retired };
  Stage stage = Stage::Production;
  std::optional<TimePoint> deprecate_at, retire_at;  // from then on it is Deprecated, Retired, whatever `stage` says
  std::optional<TimePoint> review_by;
  std::string successor;  // the Model that callers are to move to
};

// A filter of the gateway's own, in the Model's namespace.
struct FilterRef {
  std::string group, kind, name;
};

struct LifecycleStatus {
  std::string stage;  // the word that holds now; empty: the spec has no lifecycle, and had none
  std::optional<TimePoint> since;
  std::vector<std::string> notices;  // that were given, each once: what, when, how many days before
  std::string announced;  // Deprecated: a hash of the parentRefs whose gateways can name the successor in a header
  bool operator==(const LifecycleStatus&) const = default;
};

}  // namespace mo::api
