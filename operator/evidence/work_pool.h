// A few threads that work off a queue.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace mo::evidence {

// Thread-safe. Tasks run in the order in which they fall due. A task must not throw, and must end soon after
// its token is triggered.
class WorkPool {
 public:
  using Task = std::function<void(std::stop_token)>;

  explicit WorkPool(int threads);
  // Triggers the token of what runs, drops what waits, and joins.
  ~WorkPool();
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;

  // Never blocks. Tasks may post.
  void post(Task task, std::chrono::milliseconds delay = std::chrono::milliseconds(0));

 private:
  using Steady = std::chrono::steady_clock;
  void run(std::stop_token stop);

  std::mutex mutex_;
  std::condition_variable_any due_;
  uint64_t sequence_ = 0;
  std::map<std::pair<Steady::time_point, uint64_t>, Task> tasks_;
  std::vector<std::jthread> threads_;  // last: they end before what they use
};

}  // namespace mo::evidence
