#include "operator/app/signals.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstdlib>

namespace mo::app {
namespace {

sigset_t both() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

Signals::Signals(std::chrono::seconds patience) {
  const sigset_t set = both();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::jthread([this, set, patience](std::stop_token destroyed) {
    int signal = 0;
    sigwait(&set, &signal);
    if (destroyed.stop_requested()) return;
    spdlog::info("{}, stopping", signal == SIGTERM ? "SIGTERM" : "SIGINT");
    stop_.request_stop();
    // One wish may come as two signals, to the process and to its group: within a second they count as one.
    const auto began = std::chrono::steady_clock::now();
    const timespec limit{patience.count(), 0};
    do {
      signal = sigtimedwait(&set, nullptr, &limit);
      if (destroyed.stop_requested()) return;
    } while (signal > 0 && std::chrono::steady_clock::now() - began < std::chrono::seconds(1));
    spdlog::error(signal > 0 ? "a second signal, ending at once" : "stopping takes too long, ending at once");
    std::_Exit(signal > 0 ? 128 + signal : 1);
  });
}

Signals::~Signals() {
  thread_.request_stop();
  pthread_kill(thread_.native_handle(), SIGTERM);  // gets the thread out of its wait; it looks why
}

}  // namespace mo::app
