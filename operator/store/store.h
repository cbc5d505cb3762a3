// What the operator knows of one kind: written by that kind's watcher and, so that it reads its own writes,
// by the executor.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "operator/api/namespace.h"
#include "operator/api/policies.h"
#include "operator/api/training_run.h"
#include "operator/api/types.h"
#include "operator/core/ids.h"

namespace mo {

// The Models that an object concerns, as keys to look it up by and to queue. Cluster-scoped kinds concern
// none in particular.
std::vector<ObjectKey> models_of(const api::Model& o);         // itself
std::vector<ObjectKey> models_of(const api::ModelVersion& o);  // spec.modelRef
std::vector<ObjectKey> models_of(const api::ModelRollout& o);
std::vector<ObjectKey> models_of(const api::TrainingRun& o);
std::vector<ObjectKey> models_of(const api::ModelRuntime& o);
std::vector<ObjectKey> models_of(const api::GateSet& o);  // who names it is found by the ReferenceIndex
std::vector<ObjectKey> models_of(const api::ModelPolicy& o);    // which it applies to is for the reconciler to find
std::vector<ObjectKey> models_of(const api::ModelApproval& o);  // approvals_key(): it names its ModelRollout alone
std::vector<ObjectKey> models_of(const api::ModelAudit& o);  // by our label
std::vector<ObjectKey> models_of(const api::Namespace& o);   // whose Models it concerns is for the informers to find
std::vector<ObjectKey> models_of(const api::Deployment& o);
std::vector<ObjectKey> models_of(const api::Service& o);
std::vector<ObjectKey> models_of(const api::HttpRoute& o);
std::vector<ObjectKey> models_of(const api::EndpointSlice& o);
std::vector<ObjectKey> models_of(const api::Autoscaler& o);
std::vector<ObjectKey> models_of(const api::Job& o);
std::vector<ObjectKey> models_of(const api::Pod& o);  // that it serves, or whose Job it is of
std::vector<ObjectKey> models_of(const api::ConfigMap& o);  // only our copies

// Under which the ModelApprovals of a rollout are kept. It is no Model's: no name has a "/".
ObjectKey approvals_key(const ObjectKey& rollout);

// Thread-safe. Objects are immutable and shared; a reader keeps what it got.
// Order is by resourceVersion: an event older than what is held (the watch lags behind our own writes)
// changes nothing.
template <class T>
class Store {
 public:
  using Ptr = std::shared_ptr<const T>;

  // Returns false if what is held is as new or newer.
  bool upsert(T object) { return upsert(std::make_shared<const T>(std::move(object))); }
  bool upsert(Ptr object) {
    std::unique_lock lock(mutex_);
    return upsert_locked(std::move(object));
  }

  // The executor's reading: it may see a change of somebody else's before the watch does, whose event has to be news all the same.
  void read_ahead(T object) {
    std::unique_lock lock(mutex_);
    auto ptr = std::make_shared<const T>(std::move(object));
    if (upsert_locked(ptr)) untold_[ptr->meta.key] = ptr->meta.resource_version;
  }
  // An event of the watch. True also if it tells of what was read ahead of it.
  bool upsert_told(T object) {
    std::unique_lock lock(mutex_);
    auto ptr = std::make_shared<const T>(std::move(object));
    const bool late = told_locked(ptr->meta.key, ptr->meta.resource_version);
    return upsert_locked(std::move(ptr)) || late;
  }

  // A DELETED event: `uid` guards against the old object's event removing a new object of the same name. With the event's resourceVersion
  // nothing older of that name is taken any more: the answer to a write of ours may come after the event that tells its object is gone.
  bool remove(const ObjectKey& key, const std::string& uid, const std::string& resource_version = "") {
    std::unique_lock lock(mutex_);
    if (!resource_version.empty()) {
      gone_.emplace_back(key, resource_version);
      if (gone_.size() > kGoneKept) gone_.pop_front();
    }
    auto it = objects_.find(key);
    if (it == objects_.end() || (!uid.empty() && it->second->meta.uid != uid)) return false;
    unindex(it->second);
    objects_.erase(it);
    untold_.erase(key);
    return true;
  }

  // A complete list taken at `resource_version`: what is absent from it and not newer than it is gone.
  // Returns every object that was added, changed or removed (the removed as they were).
  std::vector<Ptr> replace(std::vector<T> list, const std::string& resource_version) {
    std::unique_lock lock(mutex_);
    std::vector<Ptr> changed;
    std::unordered_set<ObjectKey> listed;
    for (T& object : list) {
      listed.insert(object.meta.key);
      auto ptr = std::make_shared<const T>(std::move(object));
      const bool late = told_locked(ptr->meta.key, ptr->meta.resource_version);
      if (upsert_locked(ptr))
        changed.push_back(ptr);
      else if (late)
        changed.push_back(objects_.at(ptr->meta.key));
    }
    for (auto it = objects_.begin(); it != objects_.end();) {
      const bool newer = rv_less(resource_version, it->second->meta.resource_version);
      if (listed.count(it->first) || newer) {
        ++it;
        continue;
      }
      changed.push_back(it->second);
      unindex(it->second);
      untold_.erase(it->first);
      it = objects_.erase(it);
    }
    synced_ = true;
    denied_ = false;
    return changed;
  }

  Ptr get(const ObjectKey& key) const {
    std::shared_lock lock(mutex_);
    auto it = objects_.find(key);
    return it == objects_.end() ? nullptr : it->second;
  }

  // By name, so that the order never depends on hashing.
  std::vector<Ptr> of_model(const ObjectKey& model) const {
    std::shared_lock lock(mutex_);
    auto it = by_model_.find(model);
    if (it == by_model_.end()) return {};
    std::vector<Ptr> found = it->second;
    std::sort(found.begin(), found.end(),
              [](const Ptr& a, const Ptr& b) { return a->meta.key < b->meta.key; });
    return found;
  }

  std::vector<Ptr> all() const {
    std::shared_lock lock(mutex_);
    std::vector<Ptr> found;
    found.reserve(objects_.size());
    for (const auto& [key, object] : objects_) found.push_back(object);
    return found;
  }

  // There will be no list: we may not look at this kind and do without.
  void declare_synced() {
    std::unique_lock lock(mutex_);
    synced_ = true;
    denied_ = true;
  }
  // So it was declared: what is absent here may be there.
  bool denied() const {
    std::shared_lock lock(mutex_);
    return denied_;
  }

  size_t size() const {
    std::shared_lock lock(mutex_);
    return objects_.size();
  }
  // A first complete list has been taken. Nothing may be decided before all stores are.
  bool synced() const {
    std::shared_lock lock(mutex_);
    return synced_;
  }

 private:
  bool upsert_locked(Ptr ptr) {
    auto [it, inserted] = objects_.try_emplace(ptr->meta.key, ptr);
    if (inserted) {
      // As old as the event is what has lost our label: it is there yet.
      const bool before = std::any_of(gone_.begin(), gone_.end(), [&](const auto& gone) {
        return gone.first == ptr->meta.key && rv_less(ptr->meta.resource_version, gone.second);
      });
      if (before) {
        objects_.erase(it);
        return false;
      }
    } else {
      // Compared across UIDs too: of two objects of one name the one written later is the one that exists.
      const std::string& held = it->second->meta.resource_version;
      if (!rv_less(held, ptr->meta.resource_version)) return false;
      unindex(it->second);
      it->second = ptr;
    }
    for (const ObjectKey& model : models_of(*ptr)) by_model_[model].push_back(ptr);
    return true;
  }
  // Whether that is the first news of what was read ahead.
  bool told_locked(const ObjectKey& key, const std::string& resource_version) {
    auto it = untold_.find(key);
    if (it == untold_.end() || rv_less(resource_version, it->second)) return false;
    untold_.erase(it);
    return objects_.count(key) > 0;
  }
  void unindex(const Ptr& ptr) {
    for (const ObjectKey& model : models_of(*ptr)) {
      auto it = by_model_.find(model);
      if (it == by_model_.end()) continue;
      std::erase(it->second, ptr);
      if (it->second.empty()) by_model_.erase(it);
    }
  }

  // Answers are late by moments: a few names suffice.
  static constexpr size_t kGoneKept = 64;

  mutable std::shared_mutex mutex_;
  std::deque<std::pair<ObjectKey, std::string>> gone_;  // and when, the latest last
  std::unordered_map<ObjectKey, std::string> untold_;  // what was read ahead of the watch, and as of when
  std::unordered_map<ObjectKey, Ptr> objects_;
  std::unordered_map<ObjectKey, std::vector<Ptr>> by_model_;
  bool synced_ = false, denied_ = false;
};

struct Stores {
#define MO_ROW(name, type, store, ...) Store<api::type> store;
  MODEL_OPERATOR_STORED_KINDS(MO_ROW)
#undef MO_ROW
};

// Calls `f(&Stores::member)` for the member that holds this kind; does nothing for kinds that no store holds.
template <class F>
void with_store_member(Kind kind, F f) {
  switch (kind) {
#define MO_ROW(name, type, store, ...) \
  case Kind::name:                     \
    return f(&Stores::store);
    MODEL_OPERATOR_STORED_KINDS(MO_ROW)
#undef MO_ROW
    default:
      return;
  }
}
// The same with the store itself.
template <class F>
void with_store(Stores& stores, Kind kind, F f) {
  with_store_member(kind, [&](auto member) { f(stores.*member); });
}

// What a store holds: decltype(object_type(store)), and of a member of Stores.
template <class T>
T object_type(const Store<T>&);
template <class T>
T object_type(Store<T> Stores::*);

}  // namespace mo
