#include "operator/evidence/work_pool.h"

namespace mo::evidence {

WorkPool::WorkPool(int threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this](std::stop_token stop) { run(stop); });
}

WorkPool::~WorkPool() {
  // All at once: joined one by one each would be asked to stop only after the one before it had ended.
  for (auto& thread : threads_) thread.request_stop();
  threads_.clear();
}

void WorkPool::post(Task task, std::chrono::milliseconds delay) {
  {
    std::lock_guard lock(mutex_);
    tasks_.emplace(std::pair(Steady::now() + delay, ++sequence_), std::move(task));
  }
  // All, since one that sleeps until a later task must look again as well.
  due_.notify_all();
}

void WorkPool::run(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (tasks_.empty()) {
      due_.wait(lock, stop, [this] { return !tasks_.empty(); });
      continue;
    }
    const auto first = tasks_.begin()->first.first;
    if (first > Steady::now()) {
      due_.wait_until(lock, stop, first,
                      [&] { return tasks_.empty() || tasks_.begin()->first.first < first; });
      continue;
    }
    Task task = std::move(tasks_.begin()->second);
    tasks_.erase(tasks_.begin());
    lock.unlock();
    task(stop);
    task = nullptr;  // what it holds is let go outside the lock
    lock.lock();
  }
}

}  // namespace mo::evidence
