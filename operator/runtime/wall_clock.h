// The one place where the runtime reads the time of day. Everything below it takes time as an argument.
#pragma once

#include "operator/core/time.h"

namespace mo {

inline TimePoint wall_now() {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
}

}  // namespace mo
