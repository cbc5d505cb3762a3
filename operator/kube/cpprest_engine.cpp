#include "operator/kube/cpprest_engine.h"

#include <pplx/threadpool.h>

#include <chrono>
#include <mutex>

namespace mo::kube::cpprest {
namespace {

const SystemRoots& start_library() {
  static const SystemRoots roots = [] {
    SystemRoots found = take_system_roots();
    crossplat::threadpool::initialize_with_threads(0);
    return found;
  }();
  return roots;
}

}  // namespace

std::shared_ptr<Engine> Engine::shared() {
  static std::mutex mutex;
  static std::weak_ptr<Engine> current;
  const std::lock_guard lock(mutex);
  auto engine = current.lock();
  if (!engine) current = engine = std::make_shared<Engine>();
  return engine;
}

Engine::Engine()
    : roots(start_library()), service_(crossplat::threadpool::shared_instance().service()), work_(service_) {
  service_.restart();
  thread_ = std::jthread([this] { run(); });
}

Engine::~Engine() {
  work_.reset();
  // What was cancelled a moment ago gets the time to fold up; what never completes does not hold us.
  static_cast<void>(ended_.try_acquire_for(std::chrono::milliseconds(100)));
  service_.stop();
  thread_.join();
}

void Engine::run() {
  for (;;) {
    try {
      service_.run();
      ended_.release();
      return;
    } catch (...) {
      // Its request never completes and its caller's deadline ends it. All others go on.
    }
  }
}

}  // namespace mo::kube::cpprest
