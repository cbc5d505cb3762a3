// Kubernetes Events about our objects: a courtesy to people, sent aside from the work and allowed to fail.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <unordered_map>

#include "operator/core/plan.h"
#include "operator/core/time.h"
#include "operator/kube/client.h"

namespace mo {

// "<object>.<16 hex digits>" of UID, reason and note: the same news about the same object is the same Event,
// across restarts too.
std::string event_name(const Event& event);

// The bodies as sent. Notes are cut to the API's 1024 bytes between characters.
std::string event_body(const Event& event, const std::string& instance, TimePoint now);
std::string event_series_patch(int count, TimePoint now);

// Thread-safe. send() never blocks; run() sends, on a thread of the caller's.
class EventSender {
 public:
  // `instance`: the name of this process, "pod/…" or host name.
  EventSender(kube::Client& client, std::string instance,
              std::chrono::milliseconds last_call = std::chrono::seconds(2))
      : client_(client), instance_(std::move(instance)), last_call_(last_call) {}

  // Is told of news that were none before, with their name; a repeat after a restart is none, as long as the API server keeps the Event.
  // Called on the thread of run(); set it before.
  using News = std::function<void(const Event&, const std::string& name)>;
  void on_news(News news) { news_ = std::move(news); }

  void send(Event event);
  // Until `stop`; what is queued or being sent then gets two more seconds (`last_call`), all together.
  void run(std::stop_token stop);

  // Not sent because the queue was full.
  uint64_t dropped() const { return dropped_; }

 private:
  static constexpr size_t kQueue = 1024;
  static constexpr size_t kRemembered = 4096;
  using Clock = std::chrono::steady_clock;
  struct Sent {
    int count = 0;           // as the API server has it
    int pending = 0;         // repeats since
    Clock::time_point at{};  // last written
  };
  void deliver(const Event& event, std::stop_token stop);
  bool fold(size_t id);
  // False if it is there no more: Events expire after an hour, and the next time is a first time again.
  bool repeat(const ObjectRef& ref, size_t id, std::stop_token stop);

  kube::Client& client_;
  const std::string instance_;
  const std::chrono::milliseconds last_call_;
  News news_;
  std::atomic<uint64_t> dropped_{0};
  std::mutex mutex_;
  std::condition_variable_any filled_;
  std::deque<Event> queue_;
  std::unordered_map<size_t, Sent> sent_;  // touched by run() alone; by the hash of namespace/name
};

}  // namespace mo
