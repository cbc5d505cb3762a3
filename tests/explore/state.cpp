#include "tests/explore/state.h"

#include <algorithm>

#include "tests/sim/print.h"

namespace mo::explore {
namespace {

using sim::mix;
using sim::Print;
using sim::StoredPtr;
using Is = sim::Hole::Is;

constexpr int64_t kAnswersKept = 300;

const Print& print_of(const StoredPtr& object) {
  if (!object->print)
    object->print = std::make_shared<const Print>(sim::print_of(object->ref.kind, object->json));
  return *object->print;
}

// Made once a plan, and shared by all states that it is under way in.
const std::vector<Print>& prints_of(const sim::Flight& flight) {
  if (!*flight.prints) {
    auto prints = std::make_shared<std::vector<Print>>();
    for (const Action& action : flight.plan->actions) prints->push_back(sim::print_of(action));
    std::vector<std::string> asks;
    for (const Ask& ask : flight.plan->asks) asks.push_back(ask.id);
    for (const std::string& ask : asks) prints->push_back(sim::print_of(ask));
    *flight.prints = std::move(prints);
  }
  return **flight.prints;
}

// Goes over a situation twice: what is seen in which order, then the number.
class Fingerprint {
 public:
  Fingerprint(const sim::Sim& s, uint32_t acts, const Budget& left) : s_(s), m_(s.op.mind()) {
    now_ = std::chrono::duration_cast<std::chrono::seconds>(s.world.now.time_since_epoch()).count();
    order();
    add(acts);
    add(static_cast<uint64_t>(left.crashes * 10000 + left.losses * 100 + left.hurries));
    world();
    mind();
    memory();
  }

  uint64_t value() const { return value_; }

 private:
  void add(uint64_t value) { value_ = mix(value_, value); }
  void add(std::string_view text) { value_ = mix(value_, text); }

  // ---- moments that are compared with each other ----

  void order() {
    for (const StoredPtr& object : s_.world.objects()) note(print_of(object));
    for (const StoredPtr& object : m_.known) note(print_of(object));
    for (const auto& [kind, changes] : m_.late)
      for (const sim::Change& change : changes) note(print_of(change.object));
    if (m_.flight)
      for (const Print& print : prints_of(*m_.flight)) note(print);
    std::sort(moments_.begin(), moments_.end());
    moments_.erase(std::unique(moments_.begin(), moments_.end()), moments_.end());
  }

  void note(const Print& print) {
    for (const sim::Hole& hole : print.holes)
      if (hole.is == Is::Order) moments_.push_back(hole.value);
  }

  // ---- what prints leave open ----

  uint64_t number_of(int64_t uid) {
    const auto it = std::find(uids_.begin(), uids_.end(), uid);
    if (it != uids_.end()) return static_cast<uint64_t>(it - uids_.begin());
    uids_.push_back(uid);
    return uids_.size() - 1;
  }

  uint64_t closed(const sim::Hole& hole) {
    switch (hole.is) {
      case Is::Uid:
        return number_of(hole.value);
      case Is::Age:
        return static_cast<uint64_t>(std::min(now_ - hole.value, hole.limit));
      case Is::Order:
        return static_cast<uint64_t>(std::lower_bound(moments_.begin(), moments_.end(), hole.value) -
                                     moments_.begin());
    }
    return 0;
  }

  void add(const Print& print) {
    add(print.fixed);
    for (const sim::Hole& hole : print.holes) add(closed(hole));
  }

  void age(TimePoint t, int64_t limit) {
    const int64_t at = std::chrono::duration_cast<std::chrono::seconds>(t.time_since_epoch()).count();
    add(static_cast<uint64_t>(std::min(now_ - at, limit)));
  }

  // ---- the parts ----

  void world() {
    add(s_.world.has_engine);
    for (const StoredPtr& object : s_.world.objects()) {
      add(static_cast<uint64_t>(object->ref.kind));
      add(object->ref.key.name);
      add(object->manager);
      add(print_of(object));
    }
  }

  void mind() {
    for (const StoredPtr& object : m_.known) {
      const StoredPtr real = s_.world.stored(object->ref);
      add(real == object);
      if (real == object) continue;
      add(object->ref.key.name);
      add(print_of(object));
    }
    add(m_.known.size());
    for (const auto& [kind, changes] : m_.late) {
      add(static_cast<uint64_t>(kind));
      for (const sim::Change& change : changes) {
        const StoredPtr known = sim::find(m_.known, change.ref());
        add(change.deleted * 3 + (!known ? 2 : known->version < change.object->version));
        add(change.ref().key.name);
        add(print_of(change.object));
      }
    }
    for (const StoredPtr& object : m_.known)
      if (const auto given = m_.ledger.find(object->uid); given != m_.ledger.end()) {
        add(given->second.applied);
        add(given->second.stored);
      }
    answers();
    for (const auto& [model, refusals] : m_.refusals)
      for (const Refusal& refusal : refusals) {
        add(refusal.target.key.name);
        add(sim::print_of(refusal.error.message));
        add(refusal.body_hash);
      }
    for (const ObjectKey& key : m_.queue) add(key.name);
    for (const auto& [key, at] : m_.timers) age(at, 0);
    for (const auto& [uid, at] : m_.told) {
      add(sim::print_of(uid));
      age(at, 60);
    }
    flight();
  }

  // Their order makes no difference.
  void answers() {
    uint64_t sum = 0;
    for (const auto& kept : m_.answers) {
      Fold one(*this);
      add(sim::print_of(kept.id));
      add(kept.seen && m_.flight);
      add(kept.answer.value.value ? kept.answer.value.value->to_string() : kept.answer.value.problem);
      add(kept.answer.text.value_or(kept.answer.problem));
      age(kept.answer.at, 60);
      sum += one.take();
    }
    for (const auto& asked : m_.asked) {
      Fold one(*this);
      add(sim::print_of(asked.ask.id));
      age(asked.at, kAnswersKept);
      sum += one.take() * 3;
    }
    add(sum);
  }

  // Whether the preconditions of a write that is on its way hold yet.
  template <class Action>
  bool as_it_was_seen(const Action& action) const {
    const StoredPtr object = s_.world.stored(action.target);
    if (!object || object->uid != action.uid) return false;
    return action.resource_version.empty() || std::to_string(object->version) == action.resource_version;
  }

  void flight() {
    if (!m_.flight) return;
    const auto& [key, plan, next, known, prints] = *m_.flight;
    const std::vector<Print>& all = prints_of(*m_.flight);
    for (size_t i = next; i < all.size(); ++i) add(all[i]);
    for (size_t i = next; i < plan->actions.size(); ++i)
      std::visit([&](const auto& action) { add(as_it_was_seen(action)); }, plan->actions[i]);
    add(static_cast<uint64_t>(plan->at_once ? 0 : plan->requeue_after ? plan->requeue_after->count() : -1));
    if (!known) return;
    add(known->meta.uid);
    add(static_cast<uint64_t>(known->meta.generation));
    const StoredPtr model = s_.world.stored({Kind::Model, key});
    add(model && std::to_string(model->version) == known->meta.resource_version);
  }

  void memory() {
    const auto memory = s_.invariants.state();
    add(memory.rollout_deleted);
    for (const StoredPtr& object : s_.world.objects())
      if (const auto it = memory.weight.find(object->uid); it != memory.weight.end())
        add(static_cast<uint64_t>(it->second));
    for (const auto& [version, wish] : memory.stopped) {
      add(version);
      add(wish);
    }
    for (const std::string& rollout : memory.failed) add(rollout);
    for (const auto& [uid, word] : s_.world.words_read) {
      add(sim::print_of(uid));
      add(word.dump());
    }
  }

  // A part that is numbered by itself.
  struct Fold {
    explicit Fold(Fingerprint& f) : f_(f), before_(f.value_) { f.value_ = 1; }
    uint64_t take() { return std::exchange(f_.value_, before_); }
    Fingerprint& f_;
    uint64_t before_;
  };

  const sim::Sim& s_;
  const sim::Mind& m_;
  int64_t now_ = 0;
  uint64_t value_ = 0;
  std::vector<int64_t> uids_, moments_;
};

}  // namespace

State save(const sim::Sim& s, uint32_t acts, const Budget& left) {
  return {s.world.save(), s.op.mind(), s.invariants.state(), acts, left};
}

void load(sim::Sim& s, const State& state) {
  s.world.load(state.world);
  s.op.load(state.mind);
  s.invariants.load(state.memory);
}

uint64_t fingerprint(const sim::Sim& s, uint32_t acts, const Budget& left) {
  return Fingerprint(s, acts, left).value();
}

}  // namespace mo::explore
