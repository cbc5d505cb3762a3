// What is costly to make and used by one at a time: connections. Last in, first out, so that under little
// load few stay; what was not used for `keep` is let go at the next call. Thread-safe.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

namespace mo::kube {

template <class T>
class IdlePool {
 public:
  using Clock = std::chrono::steady_clock;

  IdlePool(size_t most, Clock::duration keep) : most_(most), keep_(keep) {}

  // One that was used before, or nullptr.
  std::unique_ptr<T> take(Clock::time_point now = Clock::now()) {
    std::deque<Idle> old;  // ends after the lock: closing a connection takes its time
    const std::lock_guard lock(mutex_);
    drop_before(now - keep_, old);
    if (idle_.empty()) return nullptr;
    auto newest = std::move(idle_.back().thing);
    idle_.pop_back();
    return newest;
  }

  void give_back(std::unique_ptr<T> thing, Clock::time_point now = Clock::now()) {
    std::deque<Idle> old;
    const std::lock_guard lock(mutex_);
    idle_.push_back({now, std::move(thing)});
    drop_before(now - keep_, old);
    if (idle_.size() > most_) {
      old.push_back(std::move(idle_.front()));
      idle_.pop_front();
    }
  }

  // Where nobody takes or gives back for long.
  void let_go(Clock::time_point now = Clock::now()) {
    std::deque<Idle> old;
    const std::lock_guard lock(mutex_);
    drop_before(now - keep_, old);
  }

 private:
  struct Idle {
    Clock::time_point since;
    std::unique_ptr<T> thing;
  };

  void drop_before(Clock::time_point limit, std::deque<Idle>& into) {
    for (; !idle_.empty() && idle_.front().since < limit; idle_.pop_front())
      into.push_back(std::move(idle_.front()));
  }

  std::mutex mutex_;
  const size_t most_;
  const Clock::duration keep_;
  std::deque<Idle> idle_;  // oldest first
};

}  // namespace mo::kube
