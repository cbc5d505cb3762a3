// The thin shell around the watch machine: one thread a kind, HTTP by kube::Client, objects into a Store.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "operator/api/parse.h"
#include "operator/kube/client.h"
#include "operator/runtime/meters.h"
#include "operator/runtime/watch_health.h"
#include "operator/runtime/watch_machine.h"
#include "operator/store/store.h"

namespace mo {

// What a watcher does with objects, without their type. Used by one thread.
class WatchSink {
 public:
  virtual ~WatchSink() = default;
  // Throws away what was collected.
  virtual void clear() = 0;
  // Takes one object in hand; on failure there is none in hand.
  virtual Result<void> read(std::string_view json) = 0;
  // Does that with the object in hand (passed over if there is none), or with what was collected.
  virtual void apply(watch::Effect effect, const std::string& resource_version) = 0;
};

// Fills a Store<T>. `changed` hears of every object that is new, different or gone (`removed`; then as it was
// last seen).
template <class T>
class StoreSink : public WatchSink {
 public:
  using Changed = std::function<void(const T& object, bool removed)>;
  StoreSink(Store<T>& store, Changed changed) : store_(store), changed_(std::move(changed)) {}

  void clear() override { collected_ = {}; }

  Result<void> read(std::string_view json) override {
    in_hand_.reset();
    auto object = api::parse<T>(json);
    if (!object) return fail(object.error());
    in_hand_ = std::move(*object);
    return {};
  }

  void apply(watch::Effect effect, const std::string& resource_version) override {
    switch (effect) {
      case watch::Effect::None:
        break;
      case watch::Effect::Collect:
        if (in_hand_) collected_.insert_or_assign(in_hand_->meta.key, std::move(*in_hand_));
        break;
      case watch::Effect::Discard:
        if (in_hand_) collected_.erase(in_hand_->meta.key);
        break;
      case watch::Effect::Upsert:
        upsert();
        break;
      case watch::Effect::Remove:
        remove();
        break;
      case watch::Effect::Swap:
        swap(resource_version);
        break;
      case watch::Effect::BackInTime:
        break;
      case watch::Effect::Absent:
        store_.declare_synced();
        break;
    }
    in_hand_.reset();
  }

 private:
  void upsert() {
    if (!in_hand_) return;
    const ObjectKey key = in_hand_->meta.key;
    const auto before = store_.get(key);
    if (!store_.upsert_told(std::move(*in_hand_))) return;
    const auto after = store_.get(key);
    // An object that changes hands (a label edited away) concerns its former Model too.
    if (before && after && models_of(*before) != models_of(*after)) changed_(*before, false);
    if (after) changed_(*after, false);
  }

  void remove() {
    if (!in_hand_) return;
    const bool was_there = store_.remove(in_hand_->meta.key, in_hand_->meta.uid, in_hand_->meta.resource_version);
    if (was_there) changed_(*in_hand_, true);
  }

  void swap(const std::string& resource_version) {
    std::vector<T> list;
    list.reserve(collected_.size());
    for (auto& [key, object] : collected_) list.push_back(std::move(object));
    collected_ = {};
    for (const auto& object : store_.replace(std::move(list), resource_version)) {
      const auto now = store_.get(object->meta.key);
      changed_(*object, !now || now->meta.uid != object->meta.uid);
    }
  }

  Store<T>& store_;
  Changed changed_;
  std::optional<T> in_hand_;
  std::unordered_map<ObjectKey, T> collected_;
};

struct WatcherOptions {
  Kind kind{};
  std::string ns;
  std::string label_selector;
  bool metadata_only = false;
  watch::Options machine;
  // The API server knows less of a kind than it told before: etcd was restored from a backup.
  std::function<void(Kind)> back_in_time;
};

// run() belongs to one thread; alive() and the counters may be read from any.
class Watcher {
 public:
  // The client must outlive the watcher.
  Watcher(kube::Client& client, WatcherOptions options, std::unique_ptr<WatchSink> sink, Meters meters,
          uint64_t seed = std::random_device{}());

  // Until `stop`.
  void run(std::stop_token stop);

  // False once it fails and the last good news is 90 s old, or 15 s after it was refused.
  bool alive() const;
  Kind kind() const { return options_.kind; }
  // Why it fails, empty while it does not. For /readyz.
  std::string problem() const;

 private:
  watch::Command perform(const watch::Command& command, std::stop_token stop);
  watch::Command list(const watch::StartList& start, std::stop_token stop);
  watch::Command probe(std::stop_token stop);
  watch::Command stream(kube::WatchOptions options, std::stop_token stop);
  watch::Command on_line(std::string_view line);
  watch::Command step(const watch::Input& input, watch::Effect* effect = nullptr);
  watch::Command failed(const Error& error);
  void read(std::string_view json);
  kube::WatchOptions watch_options(std::chrono::seconds timeout) const;
  void note(const std::function<void(WatchHealth&)>& news);
  double random() { return std::uniform_real_distribution<>(0, 1)(random_); }
  static Duration now();

  kube::Client& client_;
  const WatcherOptions options_;
  std::unique_ptr<WatchSink> sink_;
  Meters meters_;
  watch::Machine machine_;
  bool absent_ = false;   // a kind that need not be there was not, and no complete state came since
  bool refused_ = false;  // the last failure was a 401
  std::mt19937_64 random_;

  mutable std::mutex mutex_;  // guards health_
  WatchHealth health_;
};

}  // namespace mo
