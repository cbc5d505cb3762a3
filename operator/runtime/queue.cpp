#include "operator/runtime/queue.h"

#include <algorithm>

namespace mo {

Duration retry_delay(int failures, double random) {
  const int doublings = std::clamp(failures - 1, 0, 13);
  const double whole = std::min(5.0 * (1 << doublings), 30'000.0);
  return Duration(static_cast<int64_t>(whole / 2 + whole / 2 * random + 0.5));
}

void WorkQueue::add(const ObjectKey& key) {
  std::lock_guard lock(mutex_);
  add_locked(key);
}

void WorkQueue::add_locked(const ObjectKey& key) {
  if (const auto held = held_.find(key); held != held_.end()) {
    if (Clock::now() < held->second) return add_at_locked(key, held->second);
    held_.erase(held);
  }
  if (!dirty_.insert(key).second || processing_.count(key)) return;
  ready_.push_back(key);
  changed_.notify_one();
}

void WorkQueue::add_after(const ObjectKey& key, Duration delay) {
  if (delay <= Duration{0}) return add(key);
  const auto due = Clock::now() + std::min<Duration>(delay, std::chrono::hours(24));
  std::lock_guard lock(mutex_);
  add_at_locked(key, due);
}

void WorkQueue::add_at_locked(const ObjectKey& key, Clock::time_point due) {
  auto [planned, fresh] = due_.try_emplace(key, due);
  if (!fresh) {
    if (planned->second <= due) return;
    timers_.erase({planned->second, key});
    planned->second = due;
  }
  timers_.emplace(due, key);
  // Whoever sleeps until the timer that was first may have to get up earlier now.
  if (timers_.begin()->second == key) changed_.notify_one();
}

void WorkQueue::retry(const ObjectKey& key, Duration at_least) {
  Duration delay;
  {
    std::lock_guard lock(mutex_);
    const int failures = ++failures_[key];
    delay = retry_delay(failures, std::uniform_real_distribution<>(0, 1)(random_));
  }
  add_after(key, std::max(delay, at_least));
}

void WorkQueue::hold(const ObjectKey& key, Duration pause) {
  std::lock_guard lock(mutex_);
  held_[key] = Clock::now() + pause;
}

void WorkQueue::forget(const ObjectKey& key) {
  std::lock_guard lock(mutex_);
  failures_.erase(key);
}

std::optional<ObjectKey> WorkQueue::get(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    ring_timers_locked(Clock::now());
    if (!ready_.empty()) {
      ObjectKey key = std::move(ready_.front());
      ready_.pop_front();
      dirty_.erase(key);
      processing_.insert(key);
      // This worker may have been the one that slept until the next timer: hand the watch on.
      if (!ready_.empty() || !timers_.empty()) changed_.notify_one();
      return key;
    }
    const auto first = timers_.empty() ? Clock::time_point::max() : timers_.begin()->first;
    auto woken = [&] {
      return !ready_.empty() || (!timers_.empty() && timers_.begin()->first < first) || Clock::now() >= first;
    };
    if (timers_.empty())
      changed_.wait(lock, stop, [&] { return !ready_.empty() || !timers_.empty(); });
    else
      changed_.wait_until(lock, stop, first, woken);
  }
  return std::nullopt;
}

void WorkQueue::ring_timers_locked(Clock::time_point now) {
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const ObjectKey key = timers_.begin()->second;
    timers_.erase(timers_.begin());
    due_.erase(key);
    add_locked(key);
  }
}

void WorkQueue::done(const ObjectKey& key) {
  std::lock_guard lock(mutex_);
  processing_.erase(key);
  if (dirty_.erase(key)) add_locked(key);
}

size_t WorkQueue::depth() const {
  std::lock_guard lock(mutex_);
  return ready_.size();
}

size_t WorkQueue::processing() const {
  std::lock_guard lock(mutex_);
  return processing_.size();
}

}  // namespace mo
