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
#include "reconcilers/runtimes/update.h"
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

// A plan on its way, and the Model as it was when it was made.
struct Flight {
  ObjectKey key;
  std::shared_ptr<const Plan> plan;
  size_t next = 0;
  Ref<api::Model> known;
  std::shared_ptr<std::shared_ptr<const std::vector<Print>>>
      prints;  // of the plan; made when first asked for
};

// All that an operator knows and a crash forgets.
struct Mind {
  struct Kept {
    ObjectKey model;
    std::string id;
    Answer answer;
    bool seen = false;  // by the plan in flight
    bool of_objects = false;
  };
  struct Asked {
    ObjectKey model;
    Ask ask;
    TimePoint at{};
  };
  struct Given {  // what an object was given, and what the API server made of it
    std::string applied, stored;
  };
  StoredSet known;
  std::map<Kind, std::vector<Change>> late;  // what watches have yet to tell
  std::map<std::string, Given> ledger;       // by UID
  std::vector<Kept> answers;
  std::vector<Asked> asked;
  std::map<ObjectKey, std::vector<Refusal>> refusals;
  std::set<ObjectKey> queue;
  std::map<ObjectKey, TimePoint> timers;
  std::map<ObjectKey, int> failures;
  std::map<std::string, TimePoint> told;  // by UID: when its status was written last
  std::optional<Flight> flight;
};

class Operator {
 public:
  Operator(World& world, Observer& observer) : w_(world), observer_(observer) { restart(); }

  // What evidence says. `metrics`: by whole query; absent is no data.
  std::map<std::string, std::string> metrics;
  std::map<std::string, std::string> outside;  // what is behind an address; absent: it is away
  std::function<std::string(const std::string& job)> job_result;
  std::string unguarded;  // why nobody guards who writes ModelApprovals
  std::string fetch_image = "model-operator:dev";  // restart() takes another
  bool audit = true;
  std::function<bool()> lose_answer;  // whether a write is committed but nobody hears of it
  std::function<bool()> hold_counts;  // whether a status that may wait is held back now, by chance
  // Holds them back for as long as the executor does, and tries again at once what failed: time then moves in
  // whole seconds.
  bool punctual = false;

  const Mind& mind() const { return m_; }
  void load(const Mind& mind);
  // Takes note of what watches will tell. Before mind() is read.
  void read_log();
  // Nothing to do before somebody else moves or time passes.
  bool idle() const;
  // Hears of one more change of this kind.
  void deliver(Kind kind);

  void restart();
  void offer(std::vector<Step>& steps);
  void offer_crash(std::vector<Step>& steps);  // only where one would hurt
  void offer_whim(std::vector<Step>& steps);   // a reconcile that nothing calls for
  std::optional<TimePoint> next_due() const;

  // What a reconcile of every Model would write now if it saw everything; "" for nothing.
  std::string still_to_write() const;
  int64_t writes = 0;

 private:
  void wake(const Change& change);
  Observed observe(const ObjectKey& key);
  Flight planned(const ObjectKey& key);
  Plan runtime_plan(const Stores& stores, const ObjectKey& runtime) const;
  void reconcile(const ObjectKey& key);
  void act();
  Result<void> confirm_owner(const Action& action);
  Result<void> carry_out(const Action& action);
  void keep(const ObjectRef& target);
  void doubt(const ObjectKey& model, const Plan& plan);
  bool take(const Change& change);
  bool lost() const { return lose_answer && lose_answer(); }
  bool known_as_foreign(const ObjectRef& target) const;
  void refuse(const Action& action, const Error& error);
  void settle(const ObjectRef& target, bool applied);
  std::optional<Duration> hold(const WriteStatus& write) const;
  void follow_up();
  void send(const ObjectKey& key, const std::vector<Ask>& asks);
  void retry(const ObjectKey& key, Duration at_least);
  void answer(size_t index);
  Answer answer_to(const Ask& ask) const;
  std::string words_of(const AskWorkload& question) const;
  void wake_at(const ObjectKey& key, TimePoint at);

  World& w_;
  Observer& observer_;
  Mind m_;
  Stores stores_;  // m_.known
};

}  // namespace mo::sim
