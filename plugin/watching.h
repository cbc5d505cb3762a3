// Watches that keep whole objects: what `status -w` and `get -w` look at.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "operator/runtime/watcher.h"
#include "plugin/session.h"

namespace mo::plugin {

// What the watches have brought. Thread-safe.
class Seen {
 public:
  void put(Kind kind, const Json& object);
  void drop(Kind kind, const ObjectKey& key);
  void replace(Kind kind, std::map<ObjectKey, Json> all);

  // Until there is news, or until then.
  void wait(std::chrono::steady_clock::time_point until);
  bool listed(Kind kind);  // once at least
  std::vector<Json> all(Kind kind);

 private:
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  uint64_t news_ = 0, told_ = 0;
  std::map<Kind, std::map<ObjectKey, Json>> objects_;
  std::set<Kind> listed_;
};

// One thread a kind, in the session's namespace (or in all), from the constructor to the destructor. The session
// and `seen` must outlive it. Says nothing to the log.
class Watches {
 public:
  struct Of {
    Kind kind;
    std::string label_selector;
  };
  Watches(Session& session, Seen& seen, const std::vector<Of>& what);
  ~Watches();

  // Whether all kinds were listed once.
  bool listed() const;
  // Why one of them fails, empty while none does.
  std::string problem() const;

 private:
  Seen& seen_;
  std::vector<std::unique_ptr<Watcher>> watchers_;
  std::vector<std::jthread> threads_;
};

}  // namespace mo::plugin
