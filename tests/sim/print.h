// Fingerprints that do not tell apart what nobody can tell apart: UIDs count as which object they mean, times
// as how long ago, and only for as long as something hangs on that.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "operator/core/plan.h"
#include "operator/json/json.h"

namespace mo::sim {

// What is left open until the whole situation is known.
struct Hole {
  enum class Is : uint8_t { Uid, Age, Order } is;
  int64_t value = 0;  // a UID's number; seconds
  int64_t limit = 0;  // older than this many seconds is just old
};

struct Print {
  uint64_t fixed = 0;
  std::vector<Hole> holes;
};

uint64_t mix(uint64_t state, uint64_t value);
uint64_t mix(uint64_t state, std::string_view text);

Print print_of(Kind kind, const Json& object);
Print print_of(const Action& action);
// A text of ours, with UIDs and times anywhere in it.
Print print_of(const std::string& text);

}  // namespace mo::sim
