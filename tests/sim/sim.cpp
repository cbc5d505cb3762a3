#include "tests/sim/sim.h"

#include <catch2/catch.hpp>
#include <cstdlib>

namespace mo::sim {
namespace {

constexpr int64_t kMostSteps = 40000;
constexpr size_t kTraceShown = 120;
// As many as take a few seconds.
#if !defined(__OPTIMIZE__)
constexpr int kSeeds = 1;
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kSeeds = 5;
#else
constexpr int kSeeds = 20;
#endif

int number_from(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::atoi(text) : otherwise;
}

std::string trace_of(const World& world) {
  const char* shown = std::getenv("SIM_TRACE");
  const size_t most = shown ? static_cast<size_t>(std::atoi(shown)) : kTraceShown;
  std::string text;
  const size_t from = world.trace.size() > most ? world.trace.size() - most : 0;
  for (size_t i = from; i < world.trace.size(); ++i) text += world.trace[i] + "\n";
  return text;
}

void run_once(const std::function<void(Sim&)>& scenario, size_t variant, std::optional<uint32_t> seed) {
  auto sim = std::make_unique<Sim>();
  std::string failure;
  try {
    scenario(*sim);
    sim->run(seed);
  } catch (const Violation& v) {
    failure = v.what();
  }
  if (failure.empty()) return;
  FAIL((seed ? "SIM_SEED=" + std::to_string(*seed) : std::string("fixed order (SIM_SEED=fixed)"))
       << ", variant " << variant << ", step " << sim->steps << "\n"
       << trace_of(sim->world) << "=> " << failure);
}

}  // namespace

void must(bool holds, const std::string& message) {
  if (!holds) throw Violation(message);
}

void explore(const std::function<void(Sim&)>& scenario) {
  explore(1, [&](Sim& s, size_t) { scenario(s); });
}

void explore(size_t variants, const std::function<void(Sim&, size_t)>& scenario) {
  const auto run = [&](size_t variant, std::optional<uint32_t> seed) {
    run_once([&](Sim& s) { scenario(s, variant); }, variant, seed);
  };
  const char* only = std::getenv("SIM_SEED");
  const bool fixed = !only || std::string(only) == "fixed";
  for (size_t variant = 0; fixed && variant < variants; ++variant) run(variant, {});
  if (only && !fixed)
    run(static_cast<size_t>(std::atoi(only)) % variants, static_cast<uint32_t>(std::atoi(only)));
  const int seeds = only ? 0 : number_from("SIM_SEEDS", kSeeds);
  for (int seed = 1; seed <= seeds; ++seed)
    run(static_cast<size_t>(seed) % variants, static_cast<uint32_t>(seed));
  SUCCEED();
}

void Sim::then(const std::string& what, std::function<bool()> when, std::function<void()> act) {
  acts_.push_back({what, std::move(when), std::move(act)});
}

void Sim::offer(std::vector<Step>& steps) {
  if (next_act_ < acts_.size() && acts_[next_act_].when())
    steps.push_back({"person: " + acts_[next_act_].what, [this] { acts_[next_act_++].act(); }});
  op.offer(steps);
  controllers.offer(steps);
}

void Sim::offer_mischief(std::vector<Step>& steps) {
  const uint32_t dice = (*random_)() % 100;
  if (dice < 2 && crashes_left_ > 0) {
    --crashes_left_;
    steps.clear();
    return op.offer_crash(steps);
  }
  if (dice < 5) op.offer_whim(steps);
  if (dice >= 5 && dice < 8)
    steps.push_back({"time passes", [this] { world.now += Duration(100 + (*random_)() % 2000); }});
}

void Sim::take(const Step& step) {
  ++steps;
  world.say(step.name);
  step.run();
  invariants.after_step();
  if (op.writes != writes_) last_write_ = world.now;
  writes_ = op.writes;
}

bool Sim::step() {
  std::vector<Step> steps;
  offer(steps);
  if (steps.empty()) return false;
  if (!random_) return take(steps.front()), true;
  offer_mischief(steps);
  take(steps[(*random_)() % steps.size()]);
  return true;
}

bool Sim::pass_time() {
  auto due = op.next_due();
  if (const auto other = controllers.next_due(); other && (!due || *other < *due)) due = other;
  if (!due) return false;
  world.now = std::max(*due, world.now + Duration(1));
  return true;
}

bool Sim::at_rest() { return next_act_ == acts_.size() && !until && world.now >= last_write_ + patience; }

void Sim::run(std::optional<uint32_t> seed) {
  if (seed) random_.emplace(*seed);
  if (random_) {
    op.hold_counts = [this] { return (*random_)() % 2 == 0; };
    op.lose_answer = [this] { return (*random_)() % 50 == 0; };
  }
  last_write_ = world.now;
  op.restart();
  while (!(until && next_act_ == acts_.size() && until())) {
    if (steps > kMostSteps) throw Violation("no end in sight");
    if (step()) continue;
    if (at_rest()) break;
    if (pass_time()) continue;
    if (next_act_ < acts_.size())
      throw Violation("nothing moves any more, and the time never came to: " + acts_[next_act_].what);
    if (until) throw Violation("nothing moves any more before the end of the scenario");
    break;
  }
  if (!until) invariants.at_rest(op.still_to_write());
  if (expect) expect();
}

}  // namespace mo::sim
