// Tells people and systems of Events: a courtesy beside the work, which never waits for it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/kube/transport.h"
#include "operator/notify/targets.h"

namespace mo::notify {

struct NotifierOptions {
  std::chrono::milliseconds first_retry{1000};  // doubling, to a minute
  std::chrono::milliseconds deadline{10'000};   // of one attempt
  int attempts = 6;                             // then the message is given up, and that is logged
  size_t queue = 256;                           // messages for a target; one more is dropped
  size_t of_namespace = 64;                     // of these, from one namespace
};

// Thread-safe. A target that hangs delays no other, and namespaces take turns: one that makes many Events hides nobody else's. The transport must outlive it.
class Notifier {
 public:
  Notifier(kube::HttpTransport& http, std::vector<Target> targets, NotifierOptions options = {});

  // Never blocks. `id`: the same for the same news.
  void send(const Event& event, const std::string& id);
  // A thread for each target, until `stop`. What is still queued then is lost.
  void run(std::stop_token stop);

  struct Counts {
    std::string target;
    uint64_t sent = 0, failed = 0, dropped = 0;
  };
  std::vector<Counts> counts() const;

 private:
  struct Item {
    Event event;
    std::string id;
  };
  struct Lane {
    Target target;
    std::mutex mutex;
    std::condition_variable_any filled;
    std::map<std::string, std::deque<Item>> items;  // by namespace; none is empty
    size_t waiting = 0;                             // in all of them
    std::string last;                               // the namespace whose turn it was
    std::atomic<uint64_t> sent{0}, failed{0}, dropped{0};
  };
  void work(Lane& lane, std::stop_token stop);
  // Empty: it arrived. `again`: whether another attempt may help.
  std::string attempt(const Lane& lane, const Item& item, bool& again, std::stop_token stop);

  kube::HttpTransport& http_;
  const NotifierOptions options_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace mo::notify
