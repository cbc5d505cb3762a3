// The operator without its I/O: stores that lag behind, a queue, plans carried out an action at a time,
// answers that take their time. It can crash between any two of them and forgets then all that is only in
// memory.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "operator/store/answers.h"
#include "operator/store/ledger.h"
#include "operator/store/refusals.h"
#include "reconcilers/model/plan.h"
#include "tests/sim/controllers.h"
#include "tests/sim/world.h"

namespace mo::sim {

// Told before each write, so that it can compare with the world as it is.
class Observer {
 public:
  virtual ~Observer() = default;
  // `known`: the Model as it was when the plan was made.
  virtual void before(const Action& action, const Ref<api::Model>& known) = 0;
};

class Operator {
 public:
  Operator(World& world, Observer& observer) : w_(world), observer_(observer) { restart(); }

  // What evidence says. `metrics`: by whole query; absent is no data.
  std::map<std::string, std::string> metrics;
  std::function<std::string(const std::string& job)> job_result;
  std::function<bool()> lose_answer;  // whether a write is committed but nobody hears of it
  std::function<bool()> hold_counts;  // whether a status that may wait is held back now

  void restart();
  void offer(std::vector<Step>& steps);
  void offer_crash(std::vector<Step>& steps);  // only where one would hurt
  void offer_whim(std::vector<Step>& steps);   // a reconcile that nothing calls for
  std::optional<TimePoint> next_due() const;

  // What a reconcile of every Model would write now if it saw everything; "" for nothing.
  std::string still_to_write() const;
  int64_t writes = 0;

 private:
  struct InFlight {
    ObjectKey key;
    Plan plan;
    size_t next = 0;
    uint64_t mark = 0;
    Ref<api::Model> known;
  };
  struct Memory {
    Stores stores;
    Ledger ledger;
    AnswerBook answers;
    Refusals refusals;
    std::map<Kind, size_t> seen;  // how far into the world's log
    std::set<ObjectKey> queue;
    std::map<ObjectKey, TimePoint> timers;
    std::map<ObjectKey, int> failures;
    std::optional<InFlight> in_flight;
    std::vector<std::pair<ObjectKey, Ask>> asked;
  };

  void deliver(Kind kind);
  const Change* next_change(Kind kind);
  void wake(const Change& change);
  void reconcile(const ObjectKey& key);
  void act();
  Result<void> carry_out(const Action& action);
  void keep(const ObjectRef& target);
  bool lost() const { return lose_answer && lose_answer(); }
  void refuse(const Action& action, const Error& error);
  void follow_up();
  void retry(const ObjectKey& key, Duration at_least);
  void answer(size_t index);
  Answer answer_to(const Ask& ask) const;
  void wake_at(const ObjectKey& key, TimePoint at);

  World& w_;
  Observer& observer_;
  std::unique_ptr<Memory> m_;
};

}  // namespace mo::sim
