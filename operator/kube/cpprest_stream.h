// The bytes of requests and answers between cpprestsdk's thread and the caller's. For its transport alone.
//
// Nothing may block on the library's thread. It only copies bytes into an Inbox; the caller's thread cuts
// lines and calls the sink.
#pragma once

#include <cpprest/streams.h>

#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "operator/kube/transport.h"

namespace mo::kube::cpprest {

// What the library's thread leaves for the caller's. Thread-safe; outlives the call if the library still
// holds it.
class Inbox {
 public:
  // On the library's thread.
  void put_head(HttpResponse head);
  // The task is done once there is room for more, and fails once nobody reads any more.
  pplx::task<size_t> put_bytes(const uint8_t* data, size_t count);
  void finish(std::exception_ptr problem);

  // On the caller's thread.
  enum class News { Some, Deadline, Stopped };
  // Waits until the head is there and bytes or the end are (`head_alone`: or neither); fills `bytes` with
  // what came.
  News wait(std::chrono::steady_clock::time_point until, const std::stop_token& stop, std::string& bytes,
            bool head_alone);
  // After this nothing is taken any more. Whoever waits for room is let go.
  void leave();
  std::optional<HttpResponse> head() const;
  bool finished() const;
  std::exception_ptr problem() const;
  std::chrono::steady_clock::time_point last_news() const;

 private:
  void touch();

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<HttpResponse> head_;
  std::string bytes_;
  std::optional<std::pair<pplx::task_completion_event<size_t>, size_t>> room_;
  bool finished_ = false, left_ = false;
  std::exception_ptr problem_;
  std::chrono::steady_clock::time_point last_news_ = std::chrono::steady_clock::now();
};

// Where the library writes an answer's body.
concurrency::streams::ostream response_stream(std::shared_ptr<Inbox> inbox);

// Where the library reads a request's body, once: it sends a request again by itself when a pooled connection
// dies, writes too, unless the body cannot be rewound. This one cannot.
concurrency::streams::istream request_stream(std::string body);

}  // namespace mo::kube::cpprest
