#include "tests/sim/print.h"

#include <algorithm>
#include <set>

#include "reconcilers/rollout/advance.h"
#include "reconcilers/serving/route.h"

namespace mo::sim {
namespace {

using Is = Hole::Is;

constexpr int64_t kDrain = std::chrono::duration_cast<std::chrono::seconds>(rollout::kDrainLimit).count();
constexpr int64_t kLongest = 600;  // pauses and deadlines
constexpr int64_t kLag = std::chrono::duration_cast<std::chrono::seconds>(serving::kGatewayLag).count();
constexpr int64_t kInterval = 60;  // between measurements

bool digit(char c) { return c >= '0' && c <= '9'; }

size_t digits_at(std::string_view text, size_t at) {
  size_t end = at;
  while (end < text.size() && digit(text[end])) ++end;
  return end - at;
}

int64_t number(std::string_view text) {
  int64_t n = 0;
  for (char c : text) n = n * 10 + (c - '0');
  return n;
}

int64_t seconds(TimePoint t) {
  return std::chrono::duration_cast<std::chrono::seconds>(t.time_since_epoch()).count();
}

class Printer {
 public:
  explicit Printer(Kind kind) : kind_(kind) {}

  Print print;

  void add(uint64_t value) { print.fixed = mix(print.fixed, value); }
  void add(std::string_view text) { print.fixed = mix(print.fixed, text); }
  void hole(Is is, int64_t value, int64_t limit = 0) {
    add(static_cast<uint64_t>(is) + 77);
    print.holes.push_back({is, value, limit});
  }

  // Free text: "uid-7", "2026-11-22T09:00:00Z" and milliseconds since 1970 stand out.
  void text(std::string_view t) {
    constexpr std::string_view uid = "uid-";
    constexpr size_t time = 20;
    size_t from = 0;
    const auto flush = [&](size_t to) { add(t.substr(from, to - from)); };
    for (size_t at = 0; at < t.size();) {
      if (t.compare(at, uid.size(), uid) == 0) {
        const size_t length = digits_at(t, at + uid.size());
        flush(at);
        hole(Is::Uid, number(t.substr(at + uid.size(), length)));
        from = at = at + uid.size() + length;
      } else if (digit(t[at])) {
        const size_t length = digits_at(t, at);
        const auto stamp =
            length == 4 && at + time <= t.size() ? parse_time(t.substr(at, time)) : std::nullopt;
        if (length == 13) {
          flush(at);
          hole(Is::Age, number(t.substr(at, length)) / 1000, kLongest);
          from = at + length;
        } else if (stamp) {
          flush(at);
          hole(Is::Age, seconds(*stamp), 1);
          from = at + time;
        }
        at = std::max(from, at + length);
      } else {
        ++at;
      }
    }
    flush(t.size());
  }

  void object(const Json& o) {
    for (const auto& [key, value] : o.items()) {
      add(key);
      if (key == "metadata")
        metadata(value);
      else if (key == "status")
        status(value);
      else
        exact(value);
    }
    if (kind_ == Kind::Deployment)
      add(o.contains("status") ? o["metadata"]["generation"].get<int64_t>() -
                                     o["status"].value("observedGeneration", int64_t{0})
                               : -1);
  }

  void status(const Json& value) {
    if (kind_ == Kind::ModelRollout && value.contains("finishedAt")) over_ = true;
    walk(value, "status");
  }

 private:
  void metadata(const Json& m) {
    for (const auto& [key, value] : m.items()) {
      if (key == "resourceVersion") continue;
      if (key == "generation" && (kind_ == Kind::Deployment || kind_ == Kind::Service)) continue;
      add(key);
      if (key == "creationTimestamp") {
        if (kind_ == Kind::ModelRollout) time(Is::Order, value);
      } else {
        walk(value, key);
      }
    }
  }

  void exact(const Json& value) {
    if (value.is_object())
      for (const auto& [key, member] : value.items()) add(key), exact(member);
    else if (value.is_array())
      for (const Json& item : value) exact(item);
    else
      scalar(value);
    add(value.size());
  }

  void scalar(const Json& value) {
    if (value.is_string())
      add(value.get_ref<const std::string&>());
    else if (value.is_number_integer())
      add(static_cast<uint64_t>(value.get<int64_t>()) * 2 + 1);
    else
      add(value.is_boolean() ? 3 + value.get<bool>() : 5);
  }

  void time(Is is, const Json& value, int64_t limit = 0) {
    hole(is, seconds(*parse_time(value.get_ref<const std::string&>())), limit);
  }

  void walk(const Json& value, const std::string& name) {
    add(value.size());
    if (value.is_array()) {
      for (const Json& item : value) walk(item, name);
    } else if (value.is_object()) {
      const bool still = value.value("reason", Json()) == "NewReplicaSetAvailable" ||
                         value.value("reason", Json()) == "ProgressDeadlineExceeded";
      const bool measured = name == "gates" && value.value("verdict", Json()) != "Running";
      // It is looked at every so often from its beginning on.
      if (value.contains("workload") && value.value("phase", "") == "Running" && value.contains("startedAt")) time(Is::Age, value["startedAt"], kLongest);
      for (const auto& [key, member] : value.items()) {
        if (key == "lastUpdateTime" && still) continue;
        if (key == "measurements" && measured) continue;
        if (key == "observedGeneration" && kind_ == Kind::Deployment) continue;
        add(key);
        if (key == "measurements")
          measurements(member);
        else if (key == "policy")
          exact(member);
        else if (!timed(key, member))
          walk(member, key);
      }
    } else if (value.is_string()) {
      text(value.get_ref<const std::string&>());
    } else {
      scalar(value);
    }
  }

  // Only when the last was taken says something.
  void measurements(const Json& list) {
    add(list.size());
    if (!list.empty()) time(Is::Age, list.back()["at"], kInterval);
  }

  // Whether it was a time by its name.
  bool timed(const std::string& key, const Json& value) {
    static const std::set<std::string> unread = {"lastTransitionTime", "lastStarted",     "lastFinished",
                                                 "lastRetrained",      "scheduleChecked", "nextScheduled"};
    if (unread.count(key)) return true;
    if (key == "observedRequest" || key == "observedResume") return exact(value), true;
    if (key == "since") return time(Is::Order, value), time(Is::Age, value, kDrain), true;
    if (key == "time") return time(Is::Age, value, kLag), true;  // of managedFields
    if (key == "finishedAt") return time(Is::Order, value), true;
    if (key == "lastUpdateTime") return time(Is::Age, value, kLongest), true;
    const bool rollouts = key == "startedAt" || key == "stepStartedAt" || key == "pausedAt" || key == "at" ||
                          key == "waitingSince";
    if (!rollouts) return false;
    if (kind_ == Kind::ModelRollout && !over_)
      time(Is::Age, value, key == "startedAt" || key == "at" ? kDrain : kLongest);
    return true;
  }

  Kind kind_;
  bool over_ = false;
};

}  // namespace

uint64_t mix(uint64_t state, uint64_t value) {
  const __uint128_t product =
      static_cast<__uint128_t>(state ^ 0x9E3779B97F4A7C15u ^ (value << 32 | value >> 32)) *
      (value ^ 0xD6E8FEB86659FD93u);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64) ^
         (state * 0xA0761D6478BD642Fu);
}

uint64_t mix(uint64_t state, std::string_view text) {
  return mix(mix(state, std::hash<std::string_view>{}(text)), text.size());
}

Print print_of(Kind kind, const Json& object) {
  Printer p(kind);
  p.object(object);
  return std::move(p.print);
}

Print print_of(const std::string& text) {
  Printer p(Kind::Event);
  p.text(text);
  return std::move(p.print);
}

Print print_of(const Action& action) {
  const ObjectRef& target = std::visit([](const auto& a) -> const ObjectRef& { return a.target; }, action);
  Printer p(target.kind);
  p.add(action.index());
  p.add(static_cast<uint64_t>(target.kind));
  p.add(target.key.name);
  std::visit([&](const auto& a) { p.text(a.uid); }, action);
  if (const auto* apply = std::get_if<Apply>(&action)) {
    p.object(Json::parse(apply->body));
    p.add(apply->hash);
  } else if (const auto* scale = std::get_if<Scale>(&action)) {
    p.add(static_cast<uint64_t>(scale->replicas));
  } else if (const auto* status = std::get_if<WriteStatus>(&action)) {
    p.status(Json::parse(status->status));
    p.add(status->may_wait ? static_cast<uint64_t>(status->patience.count()) : 0);
  } else if (const auto* set = std::get_if<SetFinalizers>(&action)) {
    for (const std::string& name : set->finalizers) p.text(name);
  }
  return std::move(p.print);
}

}  // namespace mo::sim
