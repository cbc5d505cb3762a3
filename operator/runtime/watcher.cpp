#include "operator/runtime/watcher.h"

#include <condition_variable>
#include <mutex>

#include "operator/json/json.h"
#include "operator/json/scan.h"
#include "operator/runtime/log.h"

namespace mo {
namespace {

constexpr auto kFailingTooLong = std::chrono::seconds(90);

// One watch line: {"type": "ADDED", "object": {…}}.
struct WatchLine {
  std::string_view type, object;
};

Result<WatchLine> split_line(std::string_view text) {
  WatchLine line;
  const bool whole = json::each_member(text, [&](std::string_view key, std::string_view value) {
    if (key == "type" && value.size() > 2) line.type = value.substr(1, value.size() - 2);
    if (key == "object") line.object = value;
    return true;
  });
  if (!whole || line.type.empty() || line.object.empty()) return fail(ErrorKind::Malformed, "a watch line is not an event");
  return line;
}

watch::Line::Type type_of(std::string_view type) {
  if (type == "ADDED") return watch::Line::Type::Added;
  if (type == "MODIFIED") return watch::Line::Type::Modified;
  if (type == "DELETED") return watch::Line::Type::Deleted;
  if (type == "BOOKMARK") return watch::Line::Type::Bookmark;
  if (type == "ERROR") return watch::Line::Type::Error;
  return watch::Line::Type::Unknown;
}

std::string text_at(const Json& json, const Json::json_pointer& path) {
  return json.contains(path) && json.at(path).is_string() ? json.at(path).get<std::string>() : "";
}

void read_bookmark(std::string_view object, watch::Line& line) {
  const auto json = parse_json(object, 1u << 20);
  if (!json) return;
  line.resource_version = text_at(*json, "/metadata/resourceVersion"_json_pointer);
  line.initial_events_end = text_at(*json, "/metadata/annotations/k8s.io~1initial-events-end"_json_pointer) == "true";
}

void read_status(std::string_view object, watch::Line& line) {
  const auto json = parse_json(object, 1u << 20);
  if (!json) return;
  if (json->contains("code") && json->at("code").is_number_integer()) line.code = json->at("code").get<int>();
  line.message = text_at(*json, "/reason"_json_pointer) + ": " + text_at(*json, "/message"_json_pointer);
}

std::string unquoted(std::string_view value) {
  const auto json = parse_json(value, 1u << 16);
  return json && json->is_string() ? json->get<std::string>() : "";
}

}  // namespace

Watcher::Watcher(kube::Client& client, WatcherOptions options, std::unique_ptr<WatchSink> sink, Meters meters, uint64_t seed)
    : client_(client),
      options_(std::move(options)),
      sink_(std::move(sink)),
      meters_(std::move(meters)),
      machine_(options_.machine),
      random_(seed) {}

void Watcher::run(std::stop_token stop) {
  watch::Command command = machine_.start(random());
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
  return machine_.start(random());
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
  watch::Page page;
  bool items = false;
  const bool whole = json::each_member(*text, [&](std::string_view key, std::string_view value) {
    if (key == "metadata")
      return json::each_member(value, [&](std::string_view name, std::string_view inner) {
        if (name == "continue") page.continue_token = unquoted(inner);
        if (name == "resourceVersion") page.resource_version = unquoted(inner);
        return true;
      });
    if (key == "items" && value != "null")
      items = json::each_item(value, [&](std::string_view item) {
        read(item);
        sink_->apply(watch::Effect::Collect, {});
        return true;
      });
    else if (key == "items")
      items = true;
    return true;
  });
  if (!whole || !items || page.resource_version.empty())
    return failed(Error{ErrorKind::Malformed, "the answer is not a list", 200, {}, {}});
  heard();
  return step(page);
}

watch::Command Watcher::stream(const kube::WatchOptions& options, std::stop_token stop) {
  watch::Command next = watch::GoOn{};
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
  if (meters_.watch_restarted) meters_.watch_restarted(options_.kind);
  return step(watch::Ended{});
}

watch::Command Watcher::on_line(std::string_view text) {
  if (text.empty()) return watch::GoOn{};
  const auto split = split_line(text);
  if (!split) return failed(split.error());
  watch::Line line;
  line.type = type_of(split->type);
  switch (line.type) {
    case watch::Line::Type::Error:
      read_status(split->object, line);
      return failed(Error{line.code == 410   ? ErrorKind::Gone
                          : line.code == 429 ? ErrorKind::TooManyRequests
                          : line.code == 403 ? ErrorKind::Forbidden
                                             : ErrorKind::ServerError,
                          line.message, line.code, {}, {}});
    case watch::Line::Type::Bookmark: read_bookmark(split->object, line); break;
    case watch::Line::Type::Unknown: break;
    case watch::Line::Type::Added:
    case watch::Line::Type::Modified:
    case watch::Line::Type::Deleted: line.resource_version = read(split->object); break;
  }
  heard();
  return step(line);
}

// The object's RV; empty if it cannot be read. Such an object is counted and passed over: it must not keep others away.
std::string Watcher::read(std::string_view json) {
  auto version = sink_->read(json);
  if (version) return *version;
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
  log::warn("cannot read an object, passing it over", object, {{"error", version.error().message}});
  return {};
}

watch::Command Watcher::step(const watch::Input& input) {
  const watch::Step step = machine_.step(input, now(), random());
  sink_->apply(step.effect, step.resource_version);
  if (step.effect == watch::Effect::StartOver)
    log::write(spdlog::level::warn, "the API server went back in time, starting over", info(options_.kind).plural,
               {{"resourceVersion", step.resource_version}});
  return step.command;
}

watch::Command Watcher::failed(const Error& error) {
  {
    std::lock_guard lock(mutex_);
    if (!failing_since_) failing_since_ = Clock::now();
    problem_ = log::to_string(error);
  }
  if (meters_.watch_restarted) meters_.watch_restarted(options_.kind);
  const bool listing = machine_.listing();
  const watch::Command next = step(watch::Failed{error});
  // What the protocol foresees is no news: an RV that aged out, a server without WatchList.
  const bool foreseen = !std::holds_alternative<watch::Wait>(next);
  log::write(foreseen ? spdlog::level::info : spdlog::level::warn,
             listing ? "listing failed" : "watch failed", std::string("Kind ") + info(options_.kind).kind,
             {{"error", log::to_string(error)}});
  return next;
}

void Watcher::heard() {
  std::lock_guard lock(mutex_);
  if (!failing_since_) return;
  failing_since_.reset();
  problem_.clear();
}

bool Watcher::alive() const {
  std::lock_guard lock(mutex_);
  return !failing_since_ || Clock::now() - *failing_since_ < kFailingTooLong;
}

std::string Watcher::problem() const {
  std::lock_guard lock(mutex_);
  return problem_;
}

Duration Watcher::now() const { return std::chrono::duration_cast<Duration>(Clock::now().time_since_epoch()); }

}  // namespace mo
