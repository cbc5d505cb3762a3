#include "plugin/watching.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "plugin/fields.h"

namespace mo::plugin {
namespace {

ObjectKey key_of(const Json& object) { return {text(object, "metadata.namespace"), name_of(object)}; }

class SeenSink : public WatchSink {
 public:
  SeenSink(Seen& seen, Kind kind) : seen_(seen), kind_(kind) {}
  void clear() override { collected_.clear(); }
  Result<void> read(std::string_view json) override {
    in_hand_.reset();
    auto object = parse_json(json, 8u << 20);
    if (!object) return fail(object.error());
    in_hand_ = with_kind(std::move(*object), kind_);
    return {};
  }
  void apply(watch::Effect effect, const std::string&) override {
    if (effect == watch::Effect::Swap || effect == watch::Effect::BackInTime || effect == watch::Effect::Absent)
      seen_.replace(kind_, std::exchange(collected_, {}));
    else if (in_hand_ && effect == watch::Effect::Collect)
      collected_[key_of(*in_hand_)] = *in_hand_;
    else if (in_hand_ && effect == watch::Effect::Discard)
      collected_.erase(key_of(*in_hand_));
    else if (in_hand_ && effect == watch::Effect::Upsert)
      seen_.put(kind_, *in_hand_);
    else if (in_hand_ && effect == watch::Effect::Remove)
      seen_.drop(kind_, key_of(*in_hand_));
    in_hand_.reset();
  }

 private:
  Seen& seen_;
  const Kind kind_;
  std::map<ObjectKey, Json> collected_;
  std::optional<Json> in_hand_;
};

}  // namespace

void Seen::put(Kind kind, const Json& object) {
  const std::lock_guard lock(mutex_);
  objects_[kind][key_of(object)] = object;
  ++news_;
  changed_.notify_all();
}

void Seen::drop(Kind kind, const ObjectKey& key) {
  const std::lock_guard lock(mutex_);
  objects_[kind].erase(key);
  ++news_;
  changed_.notify_all();
}

void Seen::replace(Kind kind, std::map<ObjectKey, Json> all) {
  const std::lock_guard lock(mutex_);
  objects_[kind] = std::move(all);
  listed_.insert(kind);
  ++news_;
  changed_.notify_all();
}

void Seen::wait(std::chrono::steady_clock::time_point until) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, until, [this] { return news_ != told_; });
  told_ = news_;
}

bool Seen::listed(Kind kind) {
  const std::lock_guard lock(mutex_);
  return listed_.contains(kind);
}

std::vector<Json> Seen::all(Kind kind) {
  const std::lock_guard lock(mutex_);
  std::vector<Json> all;
  for (const auto& [key, object] : objects_[kind]) all.push_back(object);
  return all;
}

Watches::Watches(Session& session, Seen& seen, const std::vector<Of>& what) : seen_(seen) {
  spdlog::set_level(spdlog::level::off);
  const Meters silent{[](auto, auto) {}, [](auto) {}, [](auto) {}};
  for (const Of& of : what) {
    WatcherOptions options;
    options.kind = of.kind;
    options.ns = session.ns;
    options.label_selector = of.label_selector;
    watchers_.push_back(
        std::make_unique<Watcher>(session.client, options, std::make_unique<SeenSink>(seen, of.kind), silent));
  }
  for (const auto& watcher : watchers_)
    threads_.emplace_back([&watcher](std::stop_token stop) { watcher->run(stop); });
}

Watches::~Watches() {
  for (std::jthread& thread : threads_) thread.request_stop();
}

bool Watches::listed() const {
  return std::all_of(watchers_.begin(), watchers_.end(), [this](const auto& w) { return seen_.listed(w->kind()); });
}

std::string Watches::problem() const {
  for (const auto& watcher : watchers_)
    if (const std::string why = watcher->problem(); !why.empty()) return why;
  return "";
}

}  // namespace mo::plugin
