// SIGTERM and SIGINT as a stop token.
#pragma once

#include <chrono>
#include <stop_token>
#include <thread>

namespace mo::app {

// Make one in main() before any other thread: it blocks both signals for this thread and all that follow. The
// first signal requests a stop; a second one, or a stop that takes longer than `patience`, ends the process
// at once.
class Signals {
 public:
  explicit Signals(std::chrono::seconds patience);
  ~Signals();

  std::stop_token stop() const { return stop_.get_token(); }

 private:
  std::stop_source stop_;
  std::jthread thread_;
};

}  // namespace mo::app
