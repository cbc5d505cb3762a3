// Walks every state that a small world can get into, breadth first, so that what is found comes with one of
// the shortest ways there. From each state everything is done that could be done next: by the operator (an
// action at a time), by the controllers, by people, by a watch that tells something late; by the clock once
// nobody else has anything to do; and, as far as the budget goes, by a crash, by an answer that is lost, by a
// clock that runs ahead.
//
// What must hold: the simulation's invariants in every state; and once people and faults are through, every
// way ends at rest in what people asked for. The second is read off the graph without those edges: from every
// state one gets, whatever is chosen on the way, into a set of states that is never left (a bottom
// component), and nothing may be written inside of those, and where nobody has anything to do things must be
// as asked for.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/explore/state.h"
#include "tests/sim/fixture.h"

namespace mo::explore {

// Something that a person may do, once, as soon as `when` holds and those of `after` are done.
struct Act {
  std::string what;
  std::function<bool()> when;
  std::function<void()> run;
  uint32_t after = 0;
};

struct World {
  std::string name;
  std::function<sim::Fixture(sim::Sim&, std::vector<Act>&)> set_up;
  // What must be at rest, given what was done; throws sim::Violation.
  std::function<void(const sim::Fixture&, uint32_t acts)> asked_for;
  Budget budget;
  std::set<Kind> late;   // kinds whose watch may lag; of the others changes are known at once
  size_t most_late = 2;  // changes of one kind that are not known yet
};

struct Found {
  size_t states = 0, transitions = 0, depth = 0, terminal = 0, most_kept = 0;
  bool complete = false;
  double seconds = 0;
  std::string violation;            // empty: none
  std::vector<std::string> recipe;  // the steps to it, as numbers among what was offered
  std::vector<std::string> trace;
};

// Up to about `most` states; what is behind those is taken for well.
Found explore(const World& world, size_t most);

// What the same choices lead to, told in full; "" if to no violation.
std::vector<std::string> retrace(const World& world, const std::vector<uint16_t>& choices,
                                 std::string& violation);

}  // namespace mo::explore
