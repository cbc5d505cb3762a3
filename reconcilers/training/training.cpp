#include "reconcilers/training/training.h"

#include <algorithm>
#include <tuple>

#include "operator/core/text.h"
#include "reconcilers/common/job.h"
#include "reconcilers/common/names.h"
#include "reconcilers/training/import.h"
#include "reconcilers/training/job.h"
#include "reconcilers/training/taken_away.h"
#include "reconcilers/training/triggers.h"
#include "reconcilers/training/workload.h"

namespace mo::training {
namespace {

constexpr size_t kRunsWithJobs = 3;  // whose finished Jobs, and so their logs, are kept
constexpr const char* kRunning = "Running";
constexpr const char* kRequested = "requested";
constexpr const char* kSkipped = "; this run is skipped";

std::string day_of(TimePoint t) { return format_time(t).substr(0, 10); }

// One of a number beyond those that are on record is of a firing that we have yet to hear of.
bool is_left_over(const std::string& name, const std::string& newest) {
  return std::make_pair(name.size(), name) <= std::make_pair(newest.size(), newest);
}

// How a run that is over is told of, in one line.
std::string told(const api::TrainingRunStatus& s) {
  return whole_characters(s.phase == "Succeeded" ? s.message : s.phase + ": " + s.message, kResultKept);
}

class Training {
 public:
  Training(const Observed& o, const rollout::Policy& policy, const std::string& stable, bool pinned,
           const std::vector<std::string>& monitors, const serving::Settings& settings, TimePoint now)
      : o_(o),
        policy_(policy),
        spec_(*o.model->retraining),
        stable_(stable),
        pinned_(pinned),
        monitors_(monitors),
        settings_(settings),
        now_(now) {
    out_.status = o.model->status.retraining;
  }

  Planned run() {
    if (s().day != day_of(now_)) {
      s().day = day_of(now_);
      s().runs_today = 0;
      s().job_seconds_today = 0;
    }
    carry_on();
    check_spec();
    read();
    if (s().run) follow();
    if (s().run)
      tell_who_waits();
    else if (const auto asked = next_of_people(); asked && may_begin())
      take_up(*asked);
    else
      fire();
    answer_others();
    prune_jobs();
    return std::move(out_);
  }

 private:
  api::RetrainingStatus& s() { return out_.status; }

  void look_again(const std::optional<TimePoint>& at) { out_.look_again_at(at); }
  void event(const std::string& reason, const std::string& note, bool warning = false) {
    out_.events.push_back({{Kind::Model, o_.key}, o_.model->meta.uid, warning, reason, note});
  }
  void problem(const std::string& reason, const std::string& message) {
    out_.problem_reason = reason;
    out_.problem = message;
  }

  // A run that an operator before TrainingRuns started was called as its Job.
  void carry_on() {
    auto& run = s().run;
    if (!run || !run->uid.empty() || run->name != old_run_job_name(o_.key.name, run->number)) return;
    run->job = run->name;
    run->name = training_run_name(o_.key.name, run->number);
    s().last_run = run->name;
  }

  void check_spec() {
    const auto check = [&](const RawJson& job_template, const char* where) {
      const Result<Json> job = read_job(job_template, where);
      if (!job) problem("InvalidTemplate", invalid_ = job.error().message);
    };
    if (spec_.workload) {
      if (const auto object = read_workload(*spec_.workload); !object) problem("InvalidWorkload", invalid_ = object.error().message);
      if (!spec_.deadline)
        problem("InvalidWorkload", invalid_ = "spec.retraining.workload needs limits.deadline: nothing else ends a workload whose success never holds");
    }
    const bool trains_by_job = !spec_.job_template.empty() || (!spec_.workload && !import_of(spec_, kRequested));
    if (trains_by_job) check(spec_.job_template, kTemplate);
    if (spec_.validate) check(spec_.validate->job_template, kValidateTemplate);
    if (spec_.evaluate) check(spec_.evaluate->job_template, kEvaluateTemplate);
    if (const auto sets = expand(spec_.trials, {}, 0); !sets) problem("InvalidTrials", invalid_ = sets.error().message);
  }

  // ---- triggers ----

  void read() {
    triggers_ = read_triggers(o_, s(), now_);
    out_.take(std::move(triggers_));
    if (!triggers_.problem.empty()) problem("InvalidSchedule", triggers_.problem);
    // The first digest of a Model that has a version is what that version was made from, as far as anybody
    // knows.
    const bool has_version = !stable_.empty() || o_.model->version || o_.model->artifact;
    for (const auto& [trigger, digest] : triggers_.digests)
      if (has_version && !s().datasets.count(trigger)) s().datasets[trigger] = digest;
    if (!triggers_.missed.empty()) skip(triggers_.missed);
    if (!triggers_.missed.empty() && triggers_.due.empty()) skip_schedule();
  }

  // The name of the trigger for a monitor; its own where no trigger names it (action Retrain).
  std::string trigger_of(const std::string& monitor) const {
    for (const api::Trigger& trigger : spec_.triggers)
      if (trigger.monitor == monitor) return trigger.name;
    return monitor;
  }

  // The trigger that wants a run now; a person's word first, then new data, what is breached, and the clock.
  std::string wanting() const {
    const api::RetrainingStatus& s = out_.status;
    if (spec_.requested_at && spec_.requested_at != s.observed_request) return kRequested;
    for (const auto& [trigger, digest] : triggers_.digests) {
      auto old = s.datasets.find(trigger);
      if (old == s.datasets.end() || old->second != digest) return trigger;
    }
    if (!monitors_.empty()) return trigger_of(monitors_.front());
    return triggers_.due;
  }

  // Why there may be no run now; empty if there may.
  std::string held_back() {
    if (spec_.cooldown.count() > 0 && s().last_finished && now_ < *s().last_finished + spec_.cooldown) {
      look_again(*s().last_finished + spec_.cooldown);
      return "cooldown until " + format_time(*s().last_finished + spec_.cooldown);
    }
    if (spec_.max_per_day && s().runs_today >= *spec_.max_per_day) {
      look_again(tomorrow());
      return "maxPerDay " + std::to_string(*spec_.max_per_day) + " reached";
    }
    return spent();
  }

  TimePoint tomorrow() const { return std::chrono::floor<std::chrono::days>(now_) + std::chrono::days(1); }

  // The day's hours of Jobs, of people's runs too.
  std::string spent() {
    if (!spec_.job_hours_per_day) return "";
    const auto thousandths = s().job_seconds_today * 1000 / 3600;
    const auto hours = Decimal::parse(std::to_string(thousandths) + "e-3");
    if (hours && *hours < *spec_.job_hours_per_day) return "";
    look_again(tomorrow());
    return "jobHoursPerDay " + spec_.job_hours_per_day->to_string() + " reached";
  }

  void fire() {
    const std::string trigger = wanting();
    if (trigger.empty()) {
      // What was skipped stays told until the next run.
      if (!triggers_.waiting.empty() || !s().suppressed.ends_with(kSkipped)) s().suppressed = triggers_.waiting;
      return;
    }
    const std::string why_not = held_back();
    const bool by_clock = trigger == triggers_.due && trigger != kRequested;
    if (!why_not.empty()) {
      if (by_clock)
        skip_firing(why_not);
      else
        s().suppressed = trigger + ": " + why_not + "; it runs after that";
      return;
    }
    // Not before its result could be judged. Nothing of what is due is skipped.
    if (const std::string why = unready(); !why.empty()) {
      s().suppressed = trigger + ": " + why + "; it runs after that";
      return;
    }
    s().suppressed.clear();
    start(trigger);
  }

  // Why no run could come to an end: gates that are missing, templates that are none.
  std::string unready() {
    if (policy_.retraining.reason.empty()) return invalid_;
    problem(policy_.retraining.reason, policy_.retraining.message);
    return policy_.retraining.message;
  }

  void skip(const std::string& what) {
    s().suppressed = what + kSkipped;
    event("RetrainingSkipped", s().suppressed);
  }

  void skip_firing(const std::string& why) {
    skip(triggers_.due + " at " + format_time(triggers_.due_at) + ": " + why);
    skip_schedule();
  }

  void skip_schedule() {
    if (s().schedule_checked) s().schedule_checked = std::chrono::floor<std::chrono::seconds>(now_);
    triggers_.due.clear();
  }

  // Training answers no registry, and an import of one no other.
  bool answers(const std::string& trigger, const std::string& other) const { return import_of(spec_, trigger) == import_of(spec_, other); }

  // One run answers everything that asked for one so far: it sees the newest data.
  void start(const std::string& trigger) {
    begin(training_run_name(o_.key.name, s().run_number + 1), trigger);
    ++s().runs_today;
    if (answers(trigger, kRequested)) s().observed_request = spec_.requested_at;
    for (const auto& [name, digest] : triggers_.digests)
      if (answers(trigger, name)) s().datasets[name] = digest;
    if (triggers_.due.empty() || answers(trigger, triggers_.due)) skip_schedule();
    event("RetrainingStarted", "TrainingRun " + s().run->name + ", triggered by " + trigger);
    out_.started = true;
    make_run();
  }

  void begin(const std::string& name, const std::string& trigger) {
    api::RetrainingRun run;
    run.number = ++s().run_number;
    run.name = name;
    run.trigger = trigger;
    run.started = now_;
    s().run = run;
    s().last_trigger = trigger;
    s().last_run = run.name;
    s().last_result = kRunning;
    s().last_started = now_;
  }

  // ---- the run ----

  void make_run() {
    const std::string body = render_run(*o_.model, *s().run, kind_of(spec_, s().run->trigger), what_to_import()).dump();
    Apply action{{Kind::TrainingRun, {o_.key.ns, s().run->name}}, body, "", hash_of(body), "train, triggered by " + s().run->trigger};
    for (const Refusal& refusal : o_.refusals) {
      if (refusal.target != action.target || refusal.body_hash != action.hash) continue;
      if (refusal.error.kind == ErrorKind::Conflict || refusal.error.kind == ErrorKind::AlreadyExists)
        tell_taken();
      else
        s().last_result = whole_characters("Waiting for " + action.target.to_string() + ": " + refusal.error.message, kResultKept);
    }
    out_.actions.push_back(std::move(action));
  }

  // The version that was found when the run was put on record.
  Parameters what_to_import() const {
    const api::Trigger* from = import_of(spec_, out_.status.run->trigger);
    const auto found = from ? out_.status.datasets.find(from->name) : out_.status.datasets.end();
    return found == out_.status.datasets.end() ? Parameters{} : Parameters{{kVersionParameter, version_of(found->second)}};
  }

  void tell_taken() {
    problem("RunNameTaken", "TrainingRun " + s().run->name + " already exists and does not belong to the operator, so the run cannot start; delete it");
    s().last_result = whole_characters("Waiting: " + out_.problem, kResultKept);
  }

  Ref<api::TrainingRun> run_named(const std::string& name) const {
    for (const auto& run : o_.runs)
      if (run->meta.key.name == name) return run;
    return nullptr;
  }

  void follow() {
    const Ref<api::TrainingRun> run = run_named(s().run->name);
    if (!run && s().run->uid.empty()) {
      hold_schedule();
      return make_run();
    }
    if (!run || run->meta.deleting || (!s().run->uid.empty() && run->meta.uid != s().run->uid)) {
      s().job_seconds_today += most_job_seconds(*s().run, spec_.trials, now_);
      return close("Cancelled: TrainingRun " + s().run->name + " was deleted before it ended", true);
    }
    if (s().run->uid.empty() && !is_of_operator(*run, *o_.model)) return tell_taken();
    s().run->uid = run->meta.uid;
    if (api::is_over(*run)) return close_as(*run);
    hold_schedule();
    const RunInput input{o_, policy_, *run, *s().run, stable_, pinned_, replaced_by(*run), settings_};
    take(run, advance(input, now_));
  }

  // concurrency: Forbid
  void hold_schedule() {
    if (!triggers_.due.empty() && spec_.concurrency == api::Retraining::Concurrency::Forbid) skip_firing(s().run->name + " still runs");
  }

  // concurrency: Replace. What a person wrote is no trigger's to end.
  std::string replaced_by(const api::TrainingRun& run) {
    if (spec_.concurrency != api::Retraining::Concurrency::Replace || !is_of_operator(run, *o_.model)) return "";
    // A cause that comes more often than that would let no run get to its end.
    if (const TimePoint from = s().run->started + spec_.cooldown; now_ < from) return look_again(from), "";
    const std::string trigger = wanting();
    // A monitor that is breached goes on asking while the run that it started is under way.
    const bool only_asks_on = !monitors_.empty() && trigger == trigger_of(monitors_.front());
    return trigger.empty() || only_asks_on || !answers(run.trigger, trigger) || !held_back().empty() ? "" : "trigger " + trigger + " starts a newer run (limits.concurrency: Replace)";
  }

  void take(const Ref<api::TrainingRun>& run, RunPlan planned) {
    out_.take(std::move(planned));
    if (!planned.problem_reason.empty()) problem(planned.problem_reason, planned.problem);
    out_.rejected_version = planned.rejected_version;
    out_.rejected_message = planned.rejected_message;
    out_.evaluated_version = planned.evaluated_version;
    out_.evaluation = planned.evaluation;
    s().last_result = whole_characters(planned.told.empty() ? kRunning : planned.told, kResultKept);
    out_.run.emplace(run, std::move(planned.status));
  }

  void tell_who_waits() {
    if (const std::string trigger = wanting(); !trigger.empty())
      s().suppressed = "trigger " + trigger + " waits: TrainingRun " + s().run->name + " is still running";
  }

  void close_as(const api::TrainingRun& run) {
    s().job_seconds_today += run.status.job_seconds;
    const bool good = run.status.phase == "Succeeded";
    if (good) s().last_retrained = now_;
    const auto before = s().last_finished;
    close(told(run.status), !good);
    // What was called off keeps nothing from starting.
    if (run.status.phase == "Cancelled") s().last_finished = before;
  }

  void close(const std::string& result, bool bad) {
    s().last_result = whole_characters(result, kResultKept);
    s().last_finished = now_;
    s().run.reset();
    event(bad ? "RetrainingRejected" : "RetrainingFinished", s().last_result, bad);
    // A person may have asked, or data may have changed, meanwhile.
    look_again(now_);
  }

  // ---- runs that people wrote ----

  Ref<api::TrainingRun> next_of_people() const {
    Ref<api::TrainingRun> next;
    for (const auto& run : o_.runs) {
      if (is_of_operator(*run, *o_.model) || api::is_over(*run) || run->meta.deleting || run->desired_state == "Cancelled" || !run->problem.empty())
        continue;
      if (out_.status.run && out_.status.run->name == run->meta.key.name) continue;
      if (!next || std::tie(run->meta.created, run->meta.key.name) < std::tie(next->meta.created, next->meta.key.name)) next = run;
    }
    return next;
  }

  bool may_begin() {
    held_ = unready();
    if (held_.empty()) held_ = spent();
    return held_.empty();
  }

  void take_up(const api::TrainingRun& run) {
    begin(run.meta.key.name, run.trigger.empty() ? kRequested : run.trigger);
    s().run->uid = run.meta.uid;
    event("RetrainingStarted", "TrainingRun " + run.meta.key.name + ", created by a person");
  }

  // Those that are not under way. As many as there are, none of their statuses changes with each run that ends before them.
  void answer_others() {
    const Ref<api::TrainingRun> next_one = next_of_people();
    const std::string newest = training_run_name(o_.key.name, o_.model->status.retraining.run_number);
    for (const auto& run : o_.runs) {
      if (s().run && s().run->name == run->meta.key.name) continue;
      if (o_.model->status.retraining.run && o_.model->status.retraining.run->name == run->meta.key.name) continue;  // closed just now
      api::TrainingRunStatus next = run->status;
      next.observed_generation = run->meta.generation;
      if (api::is_over(*run)) {
        if (run->status.observed_generation == run->meta.generation) continue;
      } else if (is_of_operator(*run, *o_.model)) {
        if (!is_left_over(run->meta.key.name, newest)) continue;
        cancel(next, "the Model no longer needs it");
      } else if (run->desired_state == "Cancelled") {
        cancel(next, "desiredState is Cancelled");
      } else {
        next.phase = "Pending";
        next.message = whole_characters(why_pending(*run, run == next_one), kResultKept);
      }
      out_.others.emplace_back(run, std::move(next));
    }
  }

  void cancel(api::TrainingRunStatus& next, const std::string& why) const {
    next.phase = "Cancelled";
    next.message = why;
    next.finished = now_;
  }

  std::string why_pending(const api::TrainingRun& run, bool next) const {
    if (!run.problem.empty()) return run.problem;
    if (!next) return "waiting for earlier TrainingRuns of this Model to finish";
    if (!held_.empty()) return held_;
    return s().run ? "waiting for TrainingRun " + s().run->name : "";
  }
  const api::RetrainingStatus& s() const { return out_.status; }

  // ---- Jobs ----

  // Of a run that is over those that have not ended go, and the others with the runs before the last few.
  void prune_jobs() {
    std::vector<Ref<api::TrainingRun>> over;
    for (const auto& run : o_.runs)
      if (api::is_over(*run)) over.push_back(run);
    std::sort(over.begin(), over.end(), [](const auto& a, const auto& b) {
      return std::tie(a->status.finished, a->meta.key.name) > std::tie(b->status.finished, b->meta.key.name);
    });
    const std::string newest = old_run_job_name(o_.key.name, o_.model->status.retraining.run_number);
    for (const auto& entry : o_.jobs) {
      const api::Job* const job = entry.second.get();
      if (job->meta.deleting || !job->gate_of.empty() || (s().run && s().run->job == entry.first)) continue;
      const auto run = std::find_if(over.begin(), over.end(), [&](const auto& r) { return r->meta.uid == job->meta.controller_uid; });
      const bool old = job->meta.controller_uid == o_.model->meta.uid;
      if (run != over.end() && !ended(*job))
        remove(*job, "its run has finished");
      else if (run != over.end() && static_cast<size_t>(run - over.begin()) >= kRunsWithJobs)
        remove(*job, "only the Jobs of the last few runs are kept");
      else if (old && is_left_over(entry.first, newest) && !still_runs(entry.first))
        remove(*job, "its run has finished");
    }
  }

  bool still_runs(const std::string& old_job) const {
    const auto& known = o_.model->status.retraining.run;
    return known && (known->job == old_job || known->name == old_job);
  }

  void remove(const api::Job& job, const std::string& why) {
    out_.actions.push_back(Delete{{Kind::Job, job.meta.key}, job.meta.uid, why});
  }

  const Observed& o_;
  const rollout::Policy& policy_;
  const api::Retraining& spec_;
  const std::string& stable_;
  bool pinned_;
  const std::vector<std::string>& monitors_;
  const serving::Settings& settings_;
  TimePoint now_;
  Triggers triggers_;
  std::string invalid_;                      // why no Job can be made
  std::string held_;  // why the next run that a person wrote may not begin
  Planned out_;
};

}  // namespace

Planned plan(const Observed& observed, const rollout::Policy& policy, const std::string& stable, bool pinned,
             const std::vector<std::string>& monitors, const serving::Settings& settings, TimePoint now) {
  if (!observed.model->retraining) return taken_away(observed, now);
  return Training(observed, policy, stable, pinned, monitors, settings, now).run();
}

}  // namespace mo::training
