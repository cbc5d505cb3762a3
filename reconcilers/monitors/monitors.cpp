#include "reconcilers/monitors/monitors.h"

#include <algorithm>

#include "operator/core/text.h"
#include "reconcilers/common/rollback_targets.h"
#include "reconcilers/monitors/job_monitor.h"
#include "reconcilers/monitors/sets.h"
#include "reconcilers/serving/render.h"
#include "reconcilers/training/job.h"

namespace mo::monitors {
namespace {

using State = api::MonitorStatus::State;
using measure::Measured;

// How old a figure in status may get while nothing else changes: ten thousand Models must not write each measurement.
constexpr Duration kFigureKept = std::chrono::minutes(10);
constexpr size_t kMessageKept = 512;  // bytes
constexpr size_t kLongestName = 63;
constexpr uint64_t kMoments = 8;      // of a namespace within an interval

uint64_t number_of(const std::string& text) { return std::stoull(hash_of(text).substr(0, 12), nullptr, 16); }

const char* word(State state) {
  switch (state) {
    case State::Ok:
      return "OK";
    case State::Pending:
      return "Pending";
    case State::Breached:
      return "Breached";
    case State::NoData:
      break;
  }
  return "NoData";
}

void enter(api::MonitorStatus& s, State state, TimePoint at) {
  if (s.state != state) s.since = at;
  s.state = state;
  s.good_since.reset();
}

// A breach of the past is over: the next one is another.
void recover(api::MonitorStatus& s, TimePoint at) {
  enter(s, State::Ok, at);
  s.rollback.clear();
  s.rollback_made = false;
}

void take_bad(const api::Monitor& m, api::MonitorStatus& s, TimePoint at) {
  s.good_since.reset();
  if (s.state == State::Breached) return;
  if (s.state != State::Pending) enter(s, State::Pending, at);
  if (at - *s.since >= m.bad_for) enter(s, State::Breached, at);
}

void take_good(const api::Monitor& m, api::MonitorStatus& s, TimePoint at) {
  if (s.state == State::Breached) {
    if (!s.good_since) s.good_since = at;
    if (at - *s.good_since >= m.recover_after) recover(s, at);
  } else if (s.state != State::Ok) {
    enter(s, State::Ok, at);
  }
  if (s.state == State::Ok && at - *s.since >= m.recover_after) s.attempts = 0;
}

class Watch {
 public:
  Watch(const Observed& o, const std::string& stable, TimePoint now) : o_(o), m_(*o.model), stable_(stable), now_(now) {}

  Decision run() {
    const Watched watched = watched_of(o_);
    for (const api::Monitor& monitor : watched.monitors) out_.status.push_back(watch(monitor));
    keep_unread(watched);
    out_.problem_reason = watched.problem_reason;
    out_.problem = watched.problem;
    std::vector<Action> old = tidy_jobs(o_, out_.status);
    out_.jobs.insert(out_.jobs.begin(), old.begin(), old.end());
    return std::move(out_);
  }

 private:
  // What is known of the monitors of a set that is missing or unreadable stays on record, so that a set which is made anew starts no
  // second rollback of the same breach.
  void keep_unread(const Watched& watched) {
    for (const api::MonitorStatus& known : m_.status.monitors) {
      if (!watched.unread.contains(known.set)) continue;
      const bool there = std::any_of(out_.status.begin(), out_.status.end(), [&](const auto& s) { return s.name == known.name; });
      if (!there && out_.status.size() < kMostMonitors + kMostOfPolicies) out_.status.push_back(known);
    }
  }

  api::MonitorStatus watch(const api::Monitor& monitor) {
    api::MonitorStatus before = on_record(monitor.figure.name);
    before.policy = monitor.policy;
    before.set = monitor.set;
    if (stable_.empty()) return before;
    if (monitor.figure.job) return watch_by_job(monitor, before);
    api::MonitorStatus next = before;
    if (const auto answer = measure(monitor)) {
      // Status keeps whole seconds; rounded up, so that nothing ends early.
      next = take_in(monitor, before, measure::judge_figure(monitor.figure, *answer), std::chrono::ceil<std::chrono::seconds>(answer->at));
      tell(monitor, before, next);
    }
    act(monitor, next);
    return next;
  }

  api::MonitorStatus watch_by_job(const api::Monitor& monitor, const api::MonitorStatus& before) {
    JobMeasurement measurement = measure_by_job(o_, monitor, before, now_);
    api::MonitorStatus next = measurement.status;
    if (measurement.measured) {
      next = take_in(monitor, measurement.status, *measurement.measured, std::chrono::ceil<std::chrono::seconds>(measurement.measured_at));
      tell(monitor, before, next);
    }
    if (measurement.ask) out_.asks.push_back(std::move(*measurement.ask));
    if (measurement.look_again) look_again(*measurement.look_again);
    for (Action& action : measurement.actions) out_.jobs.push_back(std::move(action));
    act(monitor, next);
    return next;
  }

  // What status has of it, if that is of the version that serves; the attempts of training count on beyond it.
  api::MonitorStatus on_record(const std::string& name) const {
    api::MonitorStatus fresh = begin(name, stable_, now_);
    for (const api::MonitorStatus& known : m_.status.monitors) {
      if (known.name != name) continue;
      if (known.version == stable_ && known.since) return known;
      fresh.attempts = known.attempts;
    }
    return fresh;
  }

  // One question for each interval; its answer stays as long as it is asked. All monitors of a Model have the same moment within the interval, so that it is
  // looked at once for all; so have some other Models of its namespace, which are asked for in the same request. The others are spread over the interval.
  std::optional<Answer> measure(const api::Monitor& monitor) {
    const int64_t interval = std::max<int64_t>(monitor.figure.interval.count(), 1000);
    const std::string id = "monitor/" + m_.meta.uid + "/" + monitor.figure.name + "/" + stable_;
    const int64_t moment = static_cast<int64_t>(number_of(o_.key.ns + "/" + std::to_string(number_of(m_.meta.uid) % kMoments)) % static_cast<uint64_t>(interval));
    const int64_t slot = (now_.time_since_epoch().count() - moment) / interval;
    look_again(TimePoint(Duration((slot + 1) * interval + moment)));
    measure::GateContext context;
    context.ns = o_.key.ns;
    context.model = o_.key.name;
    context.stable = context.candidate = stable_;
    context.of_cluster = monitor.of_cluster;
    if (const auto& revision = m_.status.stable_revision) context.stable_revision = context.candidate_revision = revision->label();
    Ask ask = measure::ask_figure(monitor.figure, context, id + "/" + std::to_string(slot));
    const auto answer = o_.answers.find(ask.id);
    out_.asks.push_back(std::move(ask));
    return answer == o_.answers.end() ? std::nullopt : std::optional(answer->second);
  }

  void tell(const api::Monitor& monitor, const api::MonitorStatus& before, const api::MonitorStatus& next) {
    if (before.state != State::Breached && next.state == State::Breached)
      event("MonitorBreached", "monitor " + monitor.figure.name + " on " + stable_ + ": " + next.message, true);
    if (before.state == State::Breached && next.state != State::Breached)
      event("MonitorRecovered", "monitor " + monitor.figure.name + " on " + stable_ + " recovered: " + next.value);
  }

  void act(const api::Monitor& monitor, api::MonitorStatus& s) {
    if (s.state != State::Breached) return;
    if (monitor.hold && out_.hold.empty())
      out_.hold = "held by monitor " + s.name + ", which is breached (" + s.message + "); the rollout continues when the monitor recovers";
    if (wants_training(monitor)) {
      if (s.attempts < m_.retraining->attempts)
        out_.retrain.push_back(s.name);
      else
        add_once(s, "; " + std::to_string(s.attempts) + " training runs did not fix it; no more runs start until it recovers");
    }
    if (monitor.roll_back) go_back(s);
  }

  bool wants_training(const api::Monitor& monitor) const {
    if (!m_.retraining) return false;
    const auto& triggers = m_.retraining->triggers;
    return monitor.retrain || std::any_of(triggers.begin(), triggers.end(), [&](const api::Trigger& trigger) {
             return trigger.monitor == monitor.figure.name;
           });
  }

  // Once for each breach: the name of the ModelRollout is on record before it is made, and so is that it was seen.
  void go_back(api::MonitorStatus& s) {
    const Target target = before();
    if (s.rollback.empty()) {
      if (target.version.empty()) return add_once(s, "; no earlier version to roll back to");
      const std::string mark = "-back-" + hash_of(m_.meta.uid + s.name + stable_ + format_time(*s.since)).substr(0, 10);
      s.rollback = target.version.substr(0, kLongestName - mark.size()) + mark;
      event("MonitorRollback", "monitor " + s.name + " rolls the Model back from " + stable_ + " to " + target.version +
                                   (target.version == stable_ ? " with its earlier template" : "") + ": " + s.message, true);
    }
    if (std::any_of(o_.rollouts.begin(), o_.rollouts.end(), [&](const auto& r) { return r->meta.key.name == s.rollback; }))
      s.rollback_made = true;
    if (s.rollback_made || target.version.empty()) return;
    Json body = training::render_rollout(m_, s.rollback, target.version, "monitor");
    if (!target.revision.empty()) body["spec"]["revision"] = target.revision;
    if (target.served) body["spec"]["desiredState"] = "Promoted";  // no steps on the way back
    const std::string text = body.dump();
    out_.actions.push_back(
        Apply{{Kind::ModelRollout, {o_.key.ns, s.rollback}}, text, "", hash_of(text), "monitor " + s.name + " is breached on " + stable_});
  }

  struct Target {
    std::string version, revision;
    bool served = false;  // as it would be made now
  };

  Target before() const {
    const auto& previous = m_.status.previous;
    const auto is_there = [&](const std::string& name) {
      const Ref<api::ModelVersion> version = o_.version(name);
      return version && version->model == o_.key.name;
    };
    const bool on_record = previous && !previous->revision.pod_template.empty() && is_there(previous->version);
    if (on_record && previous->version == stable_) return {stable_, previous->revision.name, true};
    for (const std::string& name : rollback_targets(moves_of(o_.rollouts), stable_))
      if (is_there(name)) return on_record && previous->version == name ? Target{name, previous->revision.name, true} : Target{name, "", served_so(name)};
    return {};
  }

  // What that version would be made of now served under its name, as far as anybody knows.
  bool served_so(const std::string& name) const {
    std::vector<std::string> known;
    for (const auto& r : o_.rollouts) {
      if (r->status.phase != "Succeeded") continue;
      if (r->version == name && r->status.revision) known.push_back(r->status.revision->name);
      if (r->status.from_version == name && r->status.from_revision) known.push_back(r->status.from_revision->name);
    }
    const Ref<api::ModelVersion> version = o_.version(name);
    const auto runtime = serving::choose_runtime(m_, version->artifact.format, o_.runtimes);
    const auto is_as_asked = [&](const std::string& known) { return serving::is_revision(known, m_, *version, **runtime); };
    return known.empty() || (runtime && std::any_of(known.begin(), known.end(), is_as_asked));
  }

  static void add_once(api::MonitorStatus& s, const std::string& note) {
    if (!s.message.ends_with(note)) s.message = whole_characters(s.message, kMessageKept) + note;
  }

  void event(const std::string& reason, const std::string& note, bool warning = false) {
    out_.events.push_back({{Kind::Model, o_.key}, m_.meta.uid, warning, reason, note});
  }
  void look_again(TimePoint at) { out_.look_again_at(at); }

  const Observed& o_;
  const api::Model& m_;
  const std::string& stable_;
  TimePoint now_;
  Decision out_;
};

}  // namespace

api::MonitorStatus begin(const std::string& name, const std::string& version, TimePoint now) {
  api::MonitorStatus fresh;
  fresh.name = name;
  fresh.version = version;
  fresh.since = now;
  fresh.message = version.empty() ? "no version serves" : "not measured yet";
  return fresh;
}

api::MonitorStatus take_in(const api::Monitor& monitor, const api::MonitorStatus& before, const Measured& measured, TimePoint at) {
  api::MonitorStatus next = before;
  if (!next.since) next.since = at;
  switch (measured.verdict) {
    case Measured::Verdict::Good:
      take_good(monitor, next, at);
      break;
    case Measured::Verdict::Bad:
      take_bad(monitor, next, at);
      break;
    case Measured::Verdict::None:
      next.good_since.reset();
      if (next.state != State::Breached) enter(next, State::NoData, at);
      break;
  }
  const bool same = next == before;
  if (same && before.last_checked && at - *before.last_checked < kFigureKept) return next;
  if (measured.verdict != Measured::Verdict::None) next.value = measured.value;
  next.last_checked = at;
  if (!(next.state == State::Breached && measured.verdict != Measured::Verdict::Bad)) next.message = whole_characters(measured.message, kMessageKept);
  return next;
}

Health health_of(const std::vector<api::MonitorStatus>& monitors, const std::string& problem_reason, const std::string& problem) {
  std::string breached, unknown;
  const auto add = [](std::string& text, const api::MonitorStatus& s) { text += (text.empty() ? "" : "; ") + s.name + ": " + s.message; };
  for (const api::MonitorStatus& s : monitors) {
    if (s.state == State::Breached) add(breached, s);
    if (s.state == State::NoData) add(unknown, s);
  }
  if (!breached.empty()) return {false, "MonitorBreached", whole_characters(breached, kMessageKept * 2)};
  if (!problem_reason.empty()) return {false, problem_reason, problem};
  if (!unknown.empty()) return {false, "NoData", whole_characters(unknown, kMessageKept * 2)};
  return {true, "MonitorsOK", ""};
}

Decision watch(const Observed& observed, const std::string& stable, TimePoint now) { return Watch(observed, stable, now).run(); }

}  // namespace mo::monitors
