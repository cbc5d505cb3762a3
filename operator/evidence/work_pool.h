// A few threads that work off what many tenants wait for, so that no tenant's slow work delays another's.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "operator/core/ids.h"

namespace mo::evidence {

struct PoolLimits {
  int threads = 8;
  int per_owner = 2;  // tasks of one owner that run at once
  // How long a task that has an `overdue` may wait for its turn, from when it falls due.
  std::chrono::milliseconds patience{30'000};
};

// Thread-safe. The owner of a task is a Model. A thread that is free takes a task of the namespace of which the fewest run, then of
// the Model of which the fewest run; among equals, of the one that was served least recently. One namespace never holds more than half of the threads (of a single one all).
// A task must not throw, and must end soon after its token is triggered.
class WorkPool {
 public:
  using Task = std::function<void(std::stop_token)>;

  explicit WorkPool(PoolLimits limits);
  // Triggers the token of what runs, drops what waits, and joins.
  ~WorkPool();
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;

  // Never blocks. Tasks may post. `overdue` (may be empty) runs instead of `task` when that has waited too long; it must be quick: it is
  // bound by no limit but the number of threads.
  void post(const ObjectKey& owner, Task task, std::chrono::milliseconds delay = std::chrono::milliseconds(0), Task overdue = {});

 private:
  using Steady = std::chrono::steady_clock;
  struct Waiting {
    ObjectKey owner;
    Task task, overdue;
    Steady::time_point due;
  };
  // The first is the next to be dispatched: of whom the fewest run, then who was served least recently, as a number.
  using Ranks = std::set<std::tuple<int, uint64_t, std::string>>;
  // What waits and runs of one owner.
  struct Line {
    int running = 0;
    uint64_t served = 0;
    std::deque<Waiting> waiting;  // by when they fell due
  };
  struct Tenant {
    int running = 0;
    uint64_t served = 0;
    std::map<std::string, Line> lines;  // by Model; none that is empty
    Ranks ready;                        // those of its lines that may be dispatched
  };
  struct Dispatch {
    ObjectKey owner;
    Task task;
    bool counts = true;  // against the limits
  };

  void run(std::stop_token stop);
  void sleep(std::unique_lock<std::mutex>& lock, std::stop_token stop);
  void wake_one();
  void take_what_is_due(Steady::time_point now);
  std::optional<Dispatch> overdue(Steady::time_point now);
  std::optional<Dispatch> fairest();
  // All changes of lines go through this, which keeps the ranks.
  template <class Change>
  void change(const ObjectKey& owner, const Change& change);
  // When something may be done although nothing is posted and nothing ends.
  Steady::time_point next_moment() const;

  const PoolLimits limits_;
  const int per_namespace_;
  std::mutex mutex_;  // guards all below but threads_
  // Of the threads without work one at most sleeps until the next moment, so that not all get up for it; the others until they are called.
  std::condition_variable_any keeper_, idle_;
  bool kept_ = false;
  int idlers_ = 0;
  uint64_t posted_ = 0, served_ = 0, calls_ = 0;
  std::map<std::pair<Steady::time_point, uint64_t>, Waiting> later_;
  std::map<std::string, Tenant> tenants_;  // by namespace; none that is empty
  Ranks ready_;                        // those of the tenants that may be dispatched
  std::set<std::pair<Steady::time_point, ObjectKey>> patience_;  // when the first of a line is overdue
  std::vector<std::jthread> threads_;  // last: they end before what they use
};

}  // namespace mo::evidence
