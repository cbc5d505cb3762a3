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
#include "operator/store/store.h"

namespace mo {

// Which Models name an object that is not theirs (a ConfigMap in a retraining trigger, their pod template or the artifact of a version, a
// gate set), so that its change need not look at every Model. A hostname counts as an HTTPRoute of that name: who shares it is
// found that way. Thread-safe.
class ReferenceIndex {
 public:
  void update(const api::Model& model, bool removed);
  void update(const api::ModelVersion& version, bool removed);
  std::vector<ObjectKey> models_of(const ObjectRef& named) const;
  // Other Models that want requests for one of this one's hostnames.
  std::set<ObjectKey> share_hostname(const api::Model& model) const;

 private:
  void update(const ObjectRef& holder, const ObjectKey& model, const std::set<ObjectRef>& wanted);

  mutable std::mutex mutex_;
  std::map<ObjectRef, std::map<ObjectRef, ObjectKey>> models_;  // by what is named: who names it (a Model, a version), for which Model
  std::map<ObjectRef, std::set<ObjectRef>> named_;              // by who names it
};

struct InformerOptions {
  std::string ns;              // empty: all
  bool watch_runtimes = true;  // false: somebody else fills Stores::runtimes
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
  void queue_who_names(const ObjectRef& named);

  kube::Client& client_;
  Stores& stores_;
  Ledger& ledger_;
  WorkQueue& queue_;
  InformerOptions options_;
  Meters meters_;
  ReferenceIndex references_;
  struct Watch {
    std::unique_ptr<Watcher> watcher;
    std::function<bool()> synced;
  };
  std::vector<Watch> watches_;
  std::vector<std::jthread> threads_;
};

}  // namespace mo
