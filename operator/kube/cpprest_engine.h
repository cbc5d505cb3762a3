// The thread that cpprestsdk works on. For its transport alone.
//
// The library's thread pool is one for the process. We give it no threads and run its io_service on one of
// ours, with a catch around it: what it throws out of a handler (bad_alloc after a bad chunk size) would end
// the process otherwise.
#pragma once

#include <boost/asio/io_service.hpp>
#include <boost/asio/post.hpp>
#include <memory>
#include <optional>
#include <semaphore>
#include <thread>
#include <utility>

#include "operator/kube/cpprest_tls.h"

namespace mo::kube::cpprest {

// Runs the library's io_service on a thread of ours while any transport lives. Thread-safe. Must not end on
// that thread.
class Engine {
 public:
  // One for all transports, since the library has one io_service for the process.
  static std::shared_ptr<Engine> shared();

  Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine();

  // Nothing may block there.
  template <class Task>
  void post(Task task) {
    boost::asio::post(service_, std::move(task));
  }

  const SystemRoots& roots;

 private:
  void run();

  boost::asio::io_service& service_;
  std::optional<boost::asio::io_service::work> work_;
  std::binary_semaphore ended_{0};  // run() has returned
  std::jthread thread_;
};

}  // namespace mo::kube::cpprest
