#include "operator/runtime/watcher.h"

#include <condition_variable>
#include <mutex>

#include "operator/api/wire.h"
#include "operator/json/json.h"
#include "operator/json/scan.h"
#include "operator/runtime/log.h"

namespace mo {
namespace {

watch::Line::Type type_of(api::WatchEvent::Type type) {
  switch (type) {
    case api::WatchEvent::Type::Added:
      return watch::Line::Type::Added;
    case api::WatchEvent::Type::Modified:
      return watch::Line::Type::Modified;
    case api::WatchEvent::Type::Deleted:
      return watch::Line::Type::Deleted;
    case api::WatchEvent::Type::Bookmark:
      return watch::Line::Type::Bookmark;
    case api::WatchEvent::Type::Error:
      return watch::Line::Type::Error;
    case api::WatchEvent::Type::Unknown:
      break;
  }
  return watch::Line::Type::Unknown;
}

Error error_of(const api::WatchEvent& event) {
  const ErrorKind kind = event.code == 410   ? ErrorKind::Gone
                         : event.code == 429 ? ErrorKind::TooManyRequests
                         : event.code == 403 ? ErrorKind::Forbidden
                         : event.code == 401 ? ErrorKind::Unauthorized
                                             : ErrorKind::ServerError;
  return Error{kind,
               event.reason.empty() ? event.message : event.reason + ": " + event.message,
               event.code,
               event.reason,
               {}};
}

std::string unquoted(std::string_view value) {
  const auto json = parse_json(value, 1u << 16);
  return json && json->is_string() ? json->get<std::string>() : "";
}

}  // namespace

Watcher::Watcher(kube::Client& client, WatcherOptions options, std::unique_ptr<WatchSink> sink, Meters meters,
                 uint64_t seed)
    : client_(client),
      options_(std::move(options)),
      sink_(std::move(sink)),
      meters_(std::move(meters)),
      machine_(options_.machine),
      random_(seed) {}

void Watcher::run(std::stop_token stop) {
  watch::Command command = machine_.start(now(), random());
  while (!stop.stop_requested()) {
    try {
      command = perform(command, stop);
    } catch (const std::exception& e) {
      // A bug of ours must not end the watch: the state machine backs off and begins again.
      if (!stop.stop_requested()) command = failed(Error{ErrorKind::Malformed, e.what(), 0, {}, {}});
    }
  }
}

watch::Command Watcher::perform(const watch::Command& command, std::stop_token stop) {
  if (const auto* wait = std::get_if<watch::Wait>(&command)) {
    // All watches wait for the same: whichever token is new, it is new to all of them.
    if (std::exchange(refused_, false)) {
      client_.await_credentials(wait->delay, stop);
      return stop.stop_requested() ? command : step(watch::Waited{});
    }
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, stop, wait->delay, [] { return false; });
    return stop.stop_requested() ? command : step(watch::Waited{});
  }
  if (const auto* start = std::get_if<watch::StartList>(&command)) return list(*start, stop);
  if (const auto* start = std::get_if<watch::StartWatch>(&command)) {
    auto options = watch_options(start->timeout);
    options.resource_version = start->resource_version;
    return stream(options, stop);
  }
  if (const auto* start = std::get_if<watch::StartWatchList>(&command)) {
    sink_->clear();
    auto options = watch_options(start->timeout);
    options.send_initial_events = true;
    return stream(options, stop);
  }
  if (std::holds_alternative<watch::StartProbe>(command)) return probe(stop);
  return machine_.start(now(), random());
}

kube::WatchOptions Watcher::watch_options(std::chrono::seconds timeout) const {
  kube::WatchOptions options;
  options.ns = options_.ns;
  options.label_selector = options_.label_selector;
  options.metadata_only = options_.metadata_only;
  options.timeout = timeout;
  return options;
}

watch::Command Watcher::list(const watch::StartList& start, std::stop_token stop) {
  if (start.continue_token.empty()) sink_->clear();
  kube::ListOptions options;
  options.ns = options_.ns;
  options.label_selector = options_.label_selector;
  options.metadata_only = options_.metadata_only;
  options.continue_token = start.continue_token;
  options.limit = start.limit;
  const auto text = client_.list(options_.kind, options, stop);
  if (stop.stop_requested()) return start;
  if (!text) return failed(text.error());
  const auto meta = api::split_list(*text, [this](std::string_view item) {
    read(item);
    sink_->apply(watch::Effect::Collect, {});
  });
  if (!meta) return failed(meta.error());
  note([](WatchHealth& health) { health.heard(now()); });
  return step(watch::Page{meta->continue_token, meta->resource_version});
}

watch::Command Watcher::probe(std::stop_token stop) {
  kube::ListOptions options;
  options.ns = options_.ns;
  options.label_selector = options_.label_selector;
  options.metadata_only = true;
  options.limit = 1;
  const auto text = client_.list(options_.kind, options, stop);
  if (stop.stop_requested()) return watch::StartProbe{};
  if (!text) return failed(text.error());
  const auto meta = api::split_list(*text, [](std::string_view) {});
  if (!meta) return failed(meta.error());
  if (meta->resource_version.empty())
    return failed(Error{ErrorKind::Malformed, "a list without resourceVersion", 0, {}, {}});
  // No good news for WatchHealth: an API server may answer lists and close every watch.
  return step(watch::Probed{meta->resource_version});
}

watch::Command Watcher::stream(kube::WatchOptions options, std::stop_token stop) {
  watch::Command next = watch::GoOn{};
  options.opened = [this] { note([](WatchHealth& health) { health.opened(now()); }); };
  auto on_line_safely = [&](std::string_view line) {
    // Exceptions must not travel through an HTTP library.
    try {
      next = on_line(line);
    } catch (const std::exception& e) {
      next = failed(Error{ErrorKind::Malformed, e.what(), 0, {}, {}});
    }
    return std::holds_alternative<watch::GoOn>(next) && !stop.stop_requested();
  };
  const auto result = client_.watch(options_.kind, options, on_line_safely, stop);
  if (stop.stop_requested() || !std::holds_alternative<watch::GoOn>(next)) return next;
  if (!result) return failed(result.error());
  note([](WatchHealth& health) { health.ended(now()); });
  if (meters_.watch_restarted) meters_.watch_restarted(options_.kind);
  return step(watch::Ended{});
}

watch::Command Watcher::on_line(std::string_view text) {
  if (text.empty()) return watch::GoOn{};
  const auto event = api::split_watch_event(text);
  if (!event) return failed(event.error());
  watch::Line line;
  line.type = type_of(event->type);
  line.resource_version = event->resource_version;
  line.initial_events_end = event->initial_events_end;
  switch (line.type) {
    case watch::Line::Type::Error:
      return failed(error_of(*event));
    case watch::Line::Type::Added:
    case watch::Line::Type::Modified:
    case watch::Line::Type::Deleted:
      read(event->object);
      break;
    case watch::Line::Type::Bookmark:
    case watch::Line::Type::Unknown:
      break;
  }
  note([](WatchHealth& health) { health.heard(now()); });
  return step(line);
}

// An object that cannot be read is counted and passed over: it must not keep others away.
void Watcher::read(std::string_view json) {
  const auto taken = sink_->read(json);
  if (taken) return;
  if (meters_.unreadable) meters_.unreadable(options_.kind);
  ObjectRef object{options_.kind, {}};
  json::each_member(json, [&](std::string_view key, std::string_view value) {
    if (key != "metadata") return true;
    json::each_member(value, [&](std::string_view name, std::string_view text) {
      if (name == "name") object.key.name = unquoted(text);
      if (name == "namespace") object.key.ns = unquoted(text);
      return true;
    });
    return false;
  });
  log::warn("cannot read an object, passing it over", object, {{"error", taken.error().message}});
}

watch::Command Watcher::step(const watch::Input& input, watch::Effect* effect) {
  const watch::Step step = machine_.step(input, now(), random());
  if (effect) *effect = step.effect;
  sink_->apply(step.effect, step.resource_version);
  if (step.effect == watch::Effect::Absent) absent_ = true;
  if (step.effect == watch::Effect::Swap) absent_ = false;
  if (step.effect == watch::Effect::Absent) note([](WatchHealth& health) { health.absent(now()); });
  if (step.effect == watch::Effect::BackInTime && options_.back_in_time) options_.back_in_time(options_.kind);
  return step.command;
}

watch::Command Watcher::failed(const Error& error) {
  const bool refused = error.kind == ErrorKind::Forbidden || error.kind == ErrorKind::Unauthorized;
  note([&](WatchHealth& health) { health.failed(now(), log::to_string(error), refused); });
  if (meters_.watch_restarted) meters_.watch_restarted(options_.kind);
  const bool listing = machine_.listing();
  const bool was_absent = absent_;
  refused_ = error.kind == ErrorKind::Unauthorized;
  watch::Effect effect = watch::Effect::None;
  const watch::Command next = step(watch::Failed{error}, &effect);
  const bool absent = effect == watch::Effect::Absent;
  // What the protocol foresees is no news: an RV that aged out, a server without WatchList. Nor is a kind that need not be there, and
  // isn't: it is looked for every half minute, and said once.
  const bool foreseen = absent || !std::holds_alternative<watch::Wait>(next);
  // A stream that was silent, or cut after a while, is renewed at once.
  const bool everyday = (was_absent && absent) || std::holds_alternative<watch::StartProbe>(next);
  log::write(everyday ? spdlog::level::debug : foreseen ? spdlog::level::info : spdlog::level::warn,
             absent ? "not there, which is fine; looked for again every half minute" : listing ? "listing failed" : "watch failed",
             std::string("Kind ") + info(options_.kind).kind, {{"error", log::to_string(error)}});
  return next;
}

void Watcher::note(const std::function<void(WatchHealth&)>& news) {
  std::lock_guard lock(mutex_);
  news(health_);
}

bool Watcher::alive() const {
  std::lock_guard lock(mutex_);
  return health_.alive(now());
}

std::string Watcher::problem() const {
  std::lock_guard lock(mutex_);
  return health_.problem(now());
}

Duration Watcher::now() {
  return std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace mo
