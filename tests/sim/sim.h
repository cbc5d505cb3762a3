// One run of one scenario: the world, who acts in it, and an order of steps, fixed or drawn from a seed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/sim/controllers.h"
#include "tests/sim/invariants.h"
#include "tests/sim/operator.h"
#include "tests/sim/world.h"

namespace mo::sim {

class Sim {
 public:
  Sim() = default;
  Sim(const Sim&) = delete;

  World world;
  Controllers controllers{world};
  Invariants invariants{world};
  Operator op{world, invariants};

  // What people do: each act once its turn has come and `when` holds.
  void then(const std::string& what, std::function<bool()> when, std::function<void()> act);
  // What must hold once all acts are done and nothing moves any more.
  std::function<void()> expect;
  // What must hold after each step.
  std::function<void()> always;
  // Set where something always comes next (a schedule): the run ends as soon as all acts are done and this
  // holds.
  std::function<bool()> until;
  // How long nothing may have been written before the end is believed.
  Duration patience = std::chrono::minutes(11);

  // Without a seed: every watch event at once, people first, the clock last. With one: any order, crashes,
  // late watches.
  void run(std::optional<uint32_t> seed);
  int64_t steps = 0;

 private:
  struct Act {
    std::string what;
    std::function<bool()> when;
    std::function<void()> act;
  };
  bool step();
  bool at_rest();
  bool pass_time();
  void offer(std::vector<Step>& steps);
  void offer_mischief(std::vector<Step>& steps);
  void take(const Step& step);

  std::vector<Act> acts_;
  size_t next_act_ = 0;
  std::optional<std::mt19937> random_;
  int crashes_left_ = 6;
  TimePoint last_write_{};
  int64_t writes_ = 0;
};

// Runs the scenario in the fixed order and in SIM_SEEDS random ones; a failure prints the seed and the last
// steps.
void explore(const std::function<void(Sim&)>& scenario);

// The same for a scenario with variants: each in the fixed order, the seeds in turn.
void explore(size_t variants, const std::function<void(Sim&, size_t variant)>& scenario);

template <class T>
void explore(const std::vector<T>& variants, const std::function<void(Sim&, const T&)>& scenario) {
  explore(variants.size(), [&](Sim& s, size_t variant) { scenario(s, variants[variant]); });
}

// Fails the scenario with `message` unless it holds.
void must(bool holds, const std::string& message);

}  // namespace mo::sim
