#include "reconcilers/training/triggers.h"

#include <algorithm>
#include <iterator>

#include "operator/core/cron.h"
#include "operator/core/text.h"
#include "reconcilers/training/trials.h"

namespace mo::training {
namespace {

constexpr Duration kReadAgain = std::chrono::seconds(30);  // a ConfigMap that cannot be read, another Model
constexpr Duration kShortestEvery = std::chrono::seconds(30);
constexpr size_t kDigestKept = 256;                        // bytes

TimePoint whole_second(TimePoint t) { return std::chrono::floor<std::chrono::seconds>(t); }

class Reading {
 public:
  Reading(const Observed& o, api::RetrainingStatus& status, TimePoint now)
      : o_(o), spec_(*o.model->retraining), s_(status), now_(now) {}

  Triggers run() {
    for (const api::Trigger& trigger : spec_.triggers) {
      if (trigger.dataset) read_dataset(trigger);
      if (trigger.model) read_model(trigger);
      if (trigger.http) read_outside(trigger, {AskOutside::What::Http, trigger.http->url, "", ""}, trigger.http->every);
      if (trigger.oci) read_outside(trigger, {AskOutside::What::OciTag, trigger.oci->reference, "", ""}, trigger.oci->every);
      if (const auto& m = trigger.mlflow) read_outside(trigger, {AskOutside::What::MlflowAlias, m->url, m->model, m->alias}, m->every);
    }
    read_schedules();
    return std::move(out_);
  }

 private:
  void look_again(TimePoint at) { out_.look_again_at(at); }

  void wait(const api::Trigger& trigger, const std::string& why) {
    out_.waiting += (out_.waiting.empty() ? "trigger " : "; trigger ") + trigger.name + ": " + why;
  }

  // Digests are read again only when the ConfigMap's resourceVersion moves: the ask stands as long as that
  // version does.
  void read_dataset(const api::Trigger& trigger) {
    auto seen = o_.configmaps.find(trigger.dataset->name);
    if (seen == o_.configmaps.end()) {
      return wait(trigger, "ConfigMap " + trigger.dataset->name + " does not exist");
    }
    Ask ask{"dataset/" + o_.model->meta.uid + "/" + trigger.name + "/" + trigger.dataset->key + "@" + seen->second,
            AskConfigMap{{o_.key.ns, trigger.dataset->name}, trigger.dataset->key}};
    auto answer = o_.answers.find(ask.id);
    out_.asks.push_back(std::move(ask));
    if (answer == o_.answers.end()) return;
    if (!answer->second.text) {
      wait(trigger, answer->second.problem);
      look_again(now_ + kReadAgain);
    } else {
      out_.digests[trigger.name] = whole_characters(*answer->second.text, kDigestKept);
    }
  }

  // One question for each span of `every`, which for each trigger begins at a moment of its own. Until it is answered the last answer stands,
  // so that a place that is away does not come and go in status. Nothing of all that is in status: after a restart it is asked at once.
  void read_outside(const api::Trigger& trigger, AskOutside question, Duration every) {
    every = std::max<Duration>(every, kShortestEvery);
    const std::string& uid = o_.model->meta.uid;
    const TimePoint::rep span = every.count(), moment = jitter_of(uid, trigger.name, every).count();
    const TimePoint::rep slot = (now_.time_since_epoch().count() - moment) / span;
    look_again(TimePoint(Duration((slot + 1) * span + moment)));
    const std::string place = hash_of(question.address + "\n" + question.model + "\n" + question.alias);
    const std::string prefix = "outside/" + uid + "/" + trigger.name + "/" + place + "@";
    const std::string id = prefix + std::to_string(slot);
    auto answer = o_.answers.find(id);
    if (answer == o_.answers.end()) {
      const auto after = o_.answers.upper_bound(prefix + "~");
      if (after != o_.answers.begin() && std::prev(after)->first.starts_with(prefix)) answer = std::prev(after);
      // Keeps it. One that found nothing would be asked again beside the new one.
      if (answer != o_.answers.end() && answer->second.text) out_.asks.push_back({answer->first, question});
    }
    out_.asks.push_back({id, std::move(question)});
    if (answer == o_.answers.end()) return;
    if (answer->second.text) {
      out_.digests[trigger.name] = whole_characters(*answer->second.text, kDigestKept);
    } else {
      wait(trigger, answer->second.problem);
      look_again(now_ + kReadAgain);
    }
  }

  // No watch tells of what the operator itself writes to another Model.
  void read_model(const api::Trigger& trigger) {
    look_again(now_ + kReadAgain);
    const auto other = o_.promoted.find(*trigger.model);
    if (other == o_.promoted.end())
      wait(trigger, "Model " + *trigger.model + " does not exist in namespace " + o_.key.ns);
    else if (!other->second.empty())
      out_.digests[trigger.name] = other->second;
  }

  void read_schedules() {
    s_.next_scheduled.reset();
    const bool scheduled =
        std::any_of(spec_.triggers.begin(), spec_.triggers.end(), [](const auto& trigger) { return trigger.schedule.has_value(); });
    // A schedule counts from when there is one: what it would have fired before was not missed.
    if (!scheduled) {
      s_.schedules.clear();
      return s_.schedule_checked.reset();
    }
    const std::string schedules = schedules_now();
    const bool edited = !s_.schedules.empty() && s_.schedules != schedules;
    s_.schedules = schedules;
    if (!s_.schedule_checked || edited) s_.schedule_checked = whole_second(now_);
    for (const api::Trigger& trigger : spec_.triggers)
      if (trigger.schedule) read_schedule(trigger);
    if (s_.next_scheduled) look_again(*s_.next_scheduled);
  }

  void read_schedule(const api::Trigger& trigger) {
    const api::Trigger::Schedule& schedule = *trigger.schedule;
    const Result<CronSchedule> cron = CronSchedule::parse(schedule.cron, schedule.time_zone);
    if (!cron) {
      out_.problem = "retraining trigger " + trigger.name + ": " + cron.error().message;
      return;
    }
    const Duration jitter = jitter_of(o_.model->meta.uid, trigger.name, schedule.jitter);
    const auto next_after = [&](TimePoint t) -> std::optional<TimePoint> {
      const auto at = cron->next(t - jitter);
      return at ? std::optional<TimePoint>(*at + jitter) : std::nullopt;
    };
    // Fires that were missed while nobody looked count as one.
    auto due = next_after(*s_.schedule_checked);
    if (due && schedule.starting_deadline && *due + *schedule.starting_deadline < now_) {
      out_.missed = trigger.name + " at " + format_time(*due) + ": no run could start within startingDeadline " +
                    format_duration(*schedule.starting_deadline);
      due = next_after(now_ - *schedule.starting_deadline);
    }
    if (due && *due <= now_ && out_.due.empty()) {
      out_.due = trigger.name;
      out_.due_at = *due;
    }
    const auto next = next_after(now_);
    if (!next)
      out_.problem = "retraining trigger " + trigger.name + ": schedule.cron \"" + schedule.cron +
                     "\" has no occurrence within the next five years: correct its day and month";
    else if (!s_.next_scheduled || *next < *s_.next_scheduled)
      s_.next_scheduled = *next;
  }

  std::string schedules_now() const {
    std::string all;
    for (const api::Trigger& trigger : spec_.triggers) {
      if (!trigger.schedule) continue;
      all += trigger.name + "\n" + trigger.schedule->cron + "\n" + trigger.schedule->time_zone + "\n";
      // Nothing without one: the hash is as it was before there was any.
      if (trigger.schedule->jitter.count() > 0) all += format_duration(trigger.schedule->jitter) + "\n";
    }
    return hash_of(all);
  }

  const Observed& o_;
  const api::Retraining& spec_;
  api::RetrainingStatus& s_;
  TimePoint now_;
  Triggers out_;
};

}  // namespace

Triggers read_triggers(const Observed& observed, api::RetrainingStatus& status, TimePoint now) {
  return Reading(observed, status, now).run();
}

Duration jitter_of(const std::string& model_uid, const std::string& trigger, Duration most) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(most).count();
  if (seconds <= 0) return Duration(0);
  uint64_t state = 0;
  for (const char c : model_uid + "/" + trigger) state = (state ^ static_cast<unsigned char>(c)) * 1099511628211ull + 1;
  return std::chrono::seconds(next_random(state) % static_cast<uint64_t>(seconds));
}

std::string kind_of(const api::Retraining& spec, const std::string& trigger) {
  if (trigger == "requested") return "Request";
  for (const api::Trigger& t : spec.triggers) {
    if (t.name != trigger) continue;
    if (t.dataset || t.http || t.oci) return "Dataset";
    return t.schedule ? "Schedule" : t.mlflow ? "Registry" : t.model ? "Model" : "Monitor";
  }
  return "Monitor";  // its action Retrain
}

}  // namespace mo::training
