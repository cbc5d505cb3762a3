// What the machine counts, without knowing who keeps the counters.
#pragma once

#include <functional>
#include <string_view>

#include "operator/core/ids.h"

namespace mo {

// Any of them may be empty. Called from any thread; must not block.
struct Meters {
  std::function<void(std::string_view outcome, double seconds)> reconciled;
  std::function<void(Kind)> watch_restarted;
  std::function<void(Kind)>
      unreadable;  // an object of the API server that could not be read and was passed over
};

}  // namespace mo
