// Where everything stands between two steps, and a number for it that is the same for situations that nobody
// can tell apart.
#pragma once

#include <cstdint>

#include "tests/sim/sim.h"

namespace mo::explore {

// What may yet go wrong.
struct Budget {
  int crashes = 0;  // of the operator, between any two steps
  int losses = 0;   // writes that are committed and whose answer nobody hears
  int hurries = 0;  // time passes although something could happen before
};

struct State {
  sim::World::State world;
  sim::Mind mind;
  sim::Invariants::State memory;
  uint32_t acts = 0;  // of people, done so far; a bit each
  Budget left;
};

// The watches must have read the world's log.
State save(const sim::Sim& s, uint32_t acts, const Budget& left);
void load(sim::Sim& s, const State& state);

// Of where `s` stands now.
uint64_t fingerprint(const sim::Sim& s, uint32_t acts, const Budget& left);

}  // namespace mo::explore
