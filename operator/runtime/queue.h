// The work queue: which objects want a look, and when.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <stop_token>
#include <unordered_map>
#include <unordered_set>

#include "operator/core/ids.h"
#include "operator/core/time.h"

namespace mo {

// How long to wait after the `failures`-th failure in a row (1, 2, …): 5 ms doubling to 30 s, of which the
// upper half is jittered by `random` in [0, 1).
Duration retry_delay(int failures, double random);

// Thread-safe. A key is handed to one worker at a time; what is added while it is being worked on is handed
// out again after done(), so no wake-up is lost and none is doubled. First come, first served.
class WorkQueue {
 public:
  explicit WorkQueue(uint64_t seed = std::random_device{}()) : random_(seed) {}

  void add(const ObjectKey& key);
  // The earliest of several wins. Not more than a day is waited; looking early does no harm.
  void add_after(const ObjectKey& key, Duration delay);
  // add_after by the key's own backoff, and at least `at_least`.
  void retry(const ObjectKey& key, Duration at_least = Duration{0});
  // Hands the key to nobody for so long, whoever adds it meanwhile: the API server asked for the pause.
  void hold(const ObjectKey& key, Duration pause);
  // It went well: the next retry starts small.
  void forget(const ObjectKey& key);

  // Blocks. Nothing once `stop` is triggered. Each key got must be given back with done().
  std::optional<ObjectKey> get(std::stop_token stop);
  void done(const ObjectKey& key);

  size_t depth() const;       // waiting to be worked on, timers not counted
  size_t processing() const;  // being worked on

 private:
  using Clock = std::chrono::steady_clock;
  void add_locked(const ObjectKey& key);
  void add_at_locked(const ObjectKey& key, Clock::time_point due);
  void ring_timers_locked(Clock::time_point now);

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<ObjectKey> ready_;
  std::unordered_set<ObjectKey> dirty_, processing_;  // ready_ holds exactly dirty_ without processing_
  std::unordered_map<ObjectKey, Clock::time_point> due_;
  std::set<std::pair<Clock::time_point, ObjectKey>> timers_;  // due_ by time
  std::unordered_map<ObjectKey, Clock::time_point> held_;
  std::unordered_map<ObjectKey, int> failures_;
  std::mt19937_64 random_;
};

}  // namespace mo
