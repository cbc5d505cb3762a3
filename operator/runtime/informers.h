// All watches together: they fill the stores and queue the Models that a change concerns.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "operator/kube/client.h"
#include "operator/runtime/meters.h"
#include "operator/runtime/queue.h"
#include "operator/runtime/watcher.h"
#include "operator/store/ledger.h"
#include "operator/store/references.h"
#include "operator/store/store.h"

namespace mo {

struct InformerOptions {
  std::string ns;              // empty: all
  bool watch_runtimes = true;  // false: somebody else fills Stores::runtimes
  bool update_runtimes = true;  // whether ModelRuntimes are reconciled, too: their keys have no namespace
  std::function<void(Kind)> back_in_time;  // as for WatcherOptions
};

// start() once; the rest is thread-safe. What is given by reference must outlive it. The destructor stops and
// joins.
class Informers {
 public:
  Informers(kube::Client& client, Stores& stores, Ledger& ledger, WorkQueue& queue, InformerOptions options,
            Meters meters);

  // One thread a kind, until `stop` or destruction.
  void start(std::stop_token stop);
  void join();

  bool synced() const;
  // Kinds not yet listed, and watches that have failed for more than 90 s, each with the reason. Empty: all
  // is well.
  std::vector<std::string> problems() const;

 private:
  template <class T>
  void watch(Store<T>& store, WatcherOptions options, typename StoreSink<T>::Changed changed);
  void watch_ours();
  void watch_owned();
  void queue_users_of_runtimes(const ObjectKey& configmap);
  void queue_all_models();
  void queue_namespace(const std::string& name);
  void on_runtime(const api::ModelRuntime& runtime, bool removed);
  void queue_updates();
  void queue_who_names(const ObjectRef& named);

  kube::Client& client_;
  Stores& stores_;
  Ledger& ledger_;
  WorkQueue& queue_;
  InformerOptions options_;
  Meters meters_;
  ReferenceIndex references_;
  std::unordered_map<std::string, int64_t> runtime_generations_;  // by UID; the thread of that watch alone
  struct Watch {
    std::unique_ptr<Watcher> watcher;
    std::function<bool()> synced;
  };
  std::vector<Watch> watches_;
  std::vector<std::jthread> threads_;
};

}  // namespace mo
