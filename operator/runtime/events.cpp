#include "operator/runtime/events.h"

#include <thread>

#include "operator/json/json.h"
#include "operator/runtime/log.h"
#include "operator/runtime/wall_clock.h"

namespace mo {
namespace {

// The same news is not written more often than that; repeats in between are added up.
constexpr std::chrono::seconds kFold{60};
constexpr size_t kNote = 1024;

std::string cut(const std::string& text, size_t limit) {
  if (text.size() <= limit) return text;
  size_t end = limit - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string namespace_of(const Event& event) {
  return event.regarding.key.ns.empty() ? "default" : event.regarding.key.ns;
}

int series_count(const std::string& stored) {
  const auto event = parse_json(stored, 1u << 20);
  if (!event) return 1;
  const auto series = event->find("series");
  if (series == event->end() || !series->is_object()) return 1;
  const auto count = series->find("count");
  return count != series->end() && count->is_number_integer() ? count->get<int>() : 1;
}

}  // namespace

std::string event_name(const Event& event) {
  std::string object = event.regarding.key.name.substr(0, 253 - 17);
  while (!object.empty() && (object.back() == '.' || object.back() == '-')) object.pop_back();
  return object + "." + hash_of(event.uid + '\0' + event.reason + '\0' + event.note);
}

std::string event_body(const Event& event, const std::string& instance, TimePoint now) {
  const KindInfo& kind = info(event.regarding.kind);
  Json body = {
      {"apiVersion", "events.k8s.io/v1"},
      {"kind", "Event"},
      {"metadata", {{"name", event_name(event)}, {"namespace", namespace_of(event)}}},
      {"regarding",
       {{"apiVersion", kind.api_version()},
        {"kind", kind.kind},
        {"name", event.regarding.key.name},
        {"uid", event.uid}}},
      {"eventTime", format_micro_time(now)},
      {"type", event.warning ? "Warning" : "Normal"},
      {"reason", cut(event.reason, 128)},
      {"action", "Reconcile"},
      {"note", cut(event.note, kNote)},
      {"reportingController", "modelops.dev/model-operator"},
      {"reportingInstance", cut(instance, 128)},
  };
  if (!event.regarding.key.ns.empty()) body["regarding"]["namespace"] = event.regarding.key.ns;
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string event_series_patch(int count, TimePoint now) {
  return R"({"series":{"count":)" + std::to_string(count) + R"(,"lastObservedTime":")" +
         format_micro_time(now) + R"("}})";
}

void EventSender::send(Event event) {
  {
    std::lock_guard lock(mutex_);
    if (queue_.size() >= kQueue) {
      ++dropped_;
      return;
    }
    queue_.push_back(std::move(event));
  }
  filled_.notify_one();
}

void EventSender::run(std::stop_token stop) {
  std::stop_source last_call;
  // Cuts off what is being sent, too: a request may hang for longer than the process has until it is killed.
  const std::jthread bell([&](std::stop_token over) {
    std::mutex mutex;
    std::condition_variable_any rung;
    bool stopping = false;
    const std::stop_callback at_stop(stop, [&] {
      const std::lock_guard lock(mutex);
      stopping = true;
      rung.notify_all();
    });
    std::unique_lock lock(mutex);  // let go before at_stop ends, which waits for its callback
    if (!rung.wait(lock, over, [&] { return stopping; })) return;
    rung.wait_for(lock, over, last_call_, [] { return false; });
    if (!over.stop_requested()) last_call.request_stop();
  });
  for (;;) {
    Event event;
    {
      std::unique_lock lock(mutex_);
      if (!stop.stop_requested()) filled_.wait(lock, stop, [&] { return !queue_.empty(); });
      if (queue_.empty() || last_call.stop_requested()) return;
      event = std::move(queue_.front());
      queue_.pop_front();
    }
    try {
      deliver(event, last_call.get_token());
    } catch (const std::exception& e) {
      log::debug("cannot send an event", event.regarding, {{"error", e.what()}});
    }
  }
}

// Whether this repeat is only counted for now.
bool EventSender::fold(size_t id) {
  auto it = sent_.find(id);
  if (it == sent_.end() || Clock::now() - it->second.at >= kFold) return false;
  ++it->second.pending;
  return true;
}

void EventSender::deliver(const Event& event, std::stop_token stop) {
  const std::string ns = namespace_of(event);
  const ObjectRef ref{Kind::Event, ObjectKey{ns, event_name(event)}};
  const size_t id = std::hash<std::string>{}(ref.key.to_string());
  if (fold(id)) return;
  if (sent_.count(id) && repeat(ref, id, stop)) return;
  const auto posted = client_.post(Kind::Event, ns, event_body(event, instance_, wall_now()), stop);
  if (sent_.size() >= kRemembered) sent_.clear();  // costs a POST that answers AlreadyExists, no more
  // Where the API server will not have it, people are told all the same.
  if (news_ && (posted || posted.error().http_status != 409)) news_(event, ref.key.name);
  if (posted) {
    sent_[id] = Sent{1, 0, Clock::now()};
  } else if (posted.error().http_status == 409) {
    repeat(ref, id, stop);
  } else {
    log::debug("cannot send an event", event.regarding, {{"error", log::to_string(posted.error())}});
  }
}

bool EventSender::repeat(const ObjectRef& ref, size_t id, std::stop_token stop) {
  Sent& sent = sent_[id];
  if (sent.count == 0) {  // from before our start
    const auto stored = client_.get(ref, stop);
    sent.count = stored ? series_count(*stored) : 1;
  }
  const int count = sent.count + sent.pending + 1;
  const auto patched = client_.merge_patch(ref, event_series_patch(count, wall_now()), "", stop);
  if (patched) {
    sent = Sent{count, 0, Clock::now()};
  } else {
    sent_.erase(id);
    log::debug("cannot repeat an event", ref, {{"error", log::to_string(patched.error())}});
  }
  return patched || patched.error().kind != ErrorKind::NotFound;
}

}  // namespace mo
