#include "tests/sim/sim.h"

namespace mo::sim {
namespace {

constexpr int64_t kMostSteps = 40000;

}  // namespace

void must(bool holds, const std::string& message) {
  if (!holds) throw Violation(message);
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
  if (always) always();
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
