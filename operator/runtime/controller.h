// The worker loop: takes Models from the queue, has them reconciled, carries the plans out.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <stop_token>

#include "operator/core/ids.h"
#include "operator/core/plan.h"
#include "operator/core/time.h"
#include "operator/runtime/events.h"
#include "operator/runtime/executor.h"
#include "operator/runtime/meters.h"
#include "operator/runtime/queue.h"
#include "operator/store/answers.h"
#include "operator/store/refusals.h"
#include "operator/store/store.h"

namespace mo {

// Pure: what to do about this Model (which may be gone) as the stores have it now.
using Reconcile = std::function<Plan(const ObjectKey& model, TimePoint now)>;

// What the loop works with; all of it must outlive the controller.
struct ControllerParts {
  Stores& stores;
  WorkQueue& queue;
  Executor& executor;
  Refusals& refusals;
  AnswerBook& answers;
  Asker& asker;
  EventSender& events;
  Reconcile reconcile;
  Meters meters;
  std::function<std::chrono::steady_clock::time_point()> steady = std::chrono::steady_clock::now;
};

class Controller {
 public:
  explicit Controller(ControllerParts parts) : parts_(std::move(parts)) {}

  // Starts `workers` threads and blocks until `stop`; then lets them finish the plan they are at, but breaks
  // off after `grace`. Call it when all stores are synced and, with leader election, once we lead.
  void run(int workers, std::stop_token stop, Duration grace = std::chrono::seconds(10));

  // One key, whatever happens: the one catch-all, so that no object can stop the others. For tests too.
  void work(const ObjectKey& model, TimePoint now, std::stop_token stop);

  // A Model whose plan is being made. Plans are pure: they wait for nobody, so one that takes long is stuck.
  struct Planning {
    ObjectKey model;
    std::chrono::steady_clock::duration taken{};
  };
  // The one that has taken longest so far; nothing if no worker makes a plan. Thread-safe.
  std::optional<Planning> longest_planning() const;

 private:
  struct Begun {
    ObjectKey model;
    std::chrono::steady_clock::time_point at;
  };
  Plan make_plan(const ObjectKey& model, TimePoint now);
  Outcome reconcile(const ObjectKey& model, TimePoint now, std::stop_token stop);
  void settle(const ObjectKey& model, const Outcome& outcome);
  void follow_up(const ObjectKey& model, Plan& plan, const Outcome& outcome, uint64_t mark, TimePoint now);

  ControllerParts parts_;
  mutable std::mutex mutex_;
  std::list<Begun> planning_;  // in the order in which they began
};

}  // namespace mo
