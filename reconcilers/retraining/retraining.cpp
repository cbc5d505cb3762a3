#include "reconcilers/retraining/retraining.h"

#include <algorithm>

#include "operator/core/cron.h"
#include "operator/core/text.h"
#include "reconcilers/common/job.h"
#include "reconcilers/common/names.h"
#include "reconcilers/retraining/job.h"
#include "reconcilers/rollout/advance.h"
#include "reconcilers/rollout/gates.h"

namespace mo::retraining {
namespace {

constexpr int kFinishedJobsKept = 3;
constexpr size_t kResultKept = 1024;  // bytes of a result's message in status
constexpr const char* kRunning = "Running";
constexpr const char* kSkipped = "; this firing is skipped";
constexpr Duration kReadAgain = std::chrono::seconds(30);  // a ConfigMap that cannot be read

std::string day_of(TimePoint t) { return format_time(t).substr(0, 10); }

class Training {
 public:
  Training(const Observed& o, const rollout::Policy& policy, const std::string& stable, bool rolls_out,
           const std::vector<std::string>& monitors, TimePoint now)
      : o_(o),
        policy_(policy),
        spec_(*o.model->retraining),
        stable_(stable),
        rolls_out_(rolls_out),
        monitors_(monitors),
        now_(now) {
    out_.status = o.model->status.retraining;
  }

  Planned run() {
    if (s().day != day_of(now_)) {
      s().day = day_of(now_);
      s().runs_today = 0;
    }
    check_template();
    read_datasets();
    read_schedules();
    if (s().run) follow();
    if (s().run)
      tell_who_waits();
    else
      fire();
    prune_jobs();
    return std::move(out_);
  }

 private:
  api::RetrainingStatus& s() { return out_.status; }

  void look_again(TimePoint at) {
    if (!out_.look_again || at < *out_.look_again) out_.look_again = at;
  }
  void event(const std::string& reason, const std::string& note, bool warning = false) {
    out_.events.push_back({{Kind::Model, o_.key}, o_.model->meta.uid, warning, reason, note});
  }

  void check_template() {
    const Result<Json> job = read_job(spec_.job_template, kTemplate);
    if (job) return;
    out_.problem_reason = "InvalidTemplate";
    out_.problem = invalid_template_ = job.error().message;
  }

  // ---- triggers ----

  // Digests are read again only when the ConfigMap's resourceVersion moves: the ask stands as long as that
  // version does.
  void read_datasets() {
    for (const api::Trigger& trigger : spec_.triggers) {
      if (!trigger.dataset) continue;
      auto seen = o_.configmaps.find(trigger.dataset->name);
      if (seen == o_.configmaps.end()) {
        waiting_ = "trigger " + trigger.name + ": ConfigMap " + trigger.dataset->name + " does not exist";
        continue;
      }
      Ask ask{"dataset/" + o_.model->meta.uid + "/" + trigger.name + "/" + trigger.dataset->key + "@" +
                  seen->second,
              AskConfigMap{{o_.key.ns, trigger.dataset->name}, trigger.dataset->key}};
      auto answer = o_.answers.find(ask.id);
      out_.asks.push_back(std::move(ask));
      if (answer == o_.answers.end()) continue;
      if (!answer->second.text) {
        waiting_ = "trigger " + trigger.name + ": " + answer->second.problem;
        look_again(now_ + kReadAgain);
      } else
        digests_[trigger.name] = whole_characters(*answer->second.text, 256);
    }
    // The first digest of a Model that has a version is what that version was made from, as far as anybody
    // knows.
    const bool has_version = !stable_.empty() || o_.model->version || o_.model->artifact;
    for (const auto& [trigger, digest] : digests_)
      if (has_version && !s().datasets.count(trigger)) s().datasets[trigger] = digest;
  }

  void read_schedules() {
    s().next_scheduled.reset();
    const bool scheduled =
        std::any_of(spec_.triggers.begin(), spec_.triggers.end(), [](const auto& trigger) { return trigger.schedule.has_value(); });
    // A schedule counts from when there is one: what it would have fired before was not missed.
    if (!scheduled) {
      s().schedules.clear();
      return s().schedule_checked.reset();
    }
    const std::string schedules = schedules_now();
    const bool edited = !s().schedules.empty() && s().schedules != schedules;
    s().schedules = schedules;
    if (!s().schedule_checked || edited) s().schedule_checked = std::chrono::floor<std::chrono::seconds>(now_);
    for (const api::Trigger& trigger : spec_.triggers) {
      if (!trigger.schedule) continue;
      Result<CronSchedule> cron = CronSchedule::parse(trigger.schedule->cron, trigger.schedule->time_zone);
      if (!cron) {
        out_.problem_reason = "InvalidSchedule";
        out_.problem = "retraining trigger " + trigger.name + ": " + cron.error().message;
        continue;
      }
      // Fires that were missed while nobody looked count as one.
      const auto due = cron->next(*s().schedule_checked);
      if (due && *due <= now_ && cron_due_.empty()) {
        cron_due_ = trigger.name;
        cron_due_at_ = *due;
      }
      const auto next = cron->next(now_);
      if (!next) {
        out_.problem_reason = "InvalidSchedule";
        out_.problem = "retraining trigger " + trigger.name + ": schedule.cron \"" + trigger.schedule->cron +
                       "\" has no time within the next five years: correct its day and month";
      }
      if (next && (!s().next_scheduled || *next < *s().next_scheduled)) s().next_scheduled = *next;
    }
    if (s().next_scheduled) look_again(*s().next_scheduled);
  }

  std::string schedules_now() const {
    std::string all;
    for (const api::Trigger& trigger : spec_.triggers)
      if (trigger.schedule) all += trigger.name + "\n" + trigger.schedule->cron + "\n" + trigger.schedule->time_zone + "\n";
    return hash_of(all);
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
    if (spec_.requested_at && spec_.requested_at != s.observed_request) return "requested";
    for (const auto& [trigger, digest] : digests_) {
      auto old = s.datasets.find(trigger);
      if (old == s.datasets.end() || old->second != digest) return trigger;
    }
    if (!monitors_.empty()) return trigger_of(monitors_.front());
    return cron_due_;
  }

  // Why there may be no run now; empty if there may.
  std::string held_back() {
    if (spec_.cooldown.count() > 0 && s().last_finished && now_ < *s().last_finished + spec_.cooldown) {
      look_again(*s().last_finished + spec_.cooldown);
      return "cooldown until " + format_time(*s().last_finished + spec_.cooldown);
    }
    if (spec_.max_per_day && s().runs_today >= *spec_.max_per_day) {
      look_again(std::chrono::floor<std::chrono::days>(now_) + std::chrono::days(1));
      return "maxPerDay " + std::to_string(*spec_.max_per_day) + " reached";
    }
    return "";
  }

  void fire() {
    const std::string trigger = wanting();
    if (trigger.empty()) {
      // What was skipped stays told until the next run.
      if (!waiting_.empty() || !s().suppressed.ends_with(kSkipped)) s().suppressed = waiting_;
      return;
    }
    const std::string why_not = held_back();
    const bool by_clock = trigger == cron_due_ && trigger != "requested";
    if (!why_not.empty()) {
      if (by_clock)
        skip_firing(why_not);
      else
        s().suppressed = trigger + ": " + why_not + "; it runs afterwards";
      return;
    }
    if (!policy_.retraining.reason.empty()) {
      // Not before its result could be judged. Nothing of what is due is skipped.
      s().suppressed = trigger + ": " + policy_.retraining.message + "; it runs afterwards";
      return blame_gates();
    }
    if (!invalid_template_.empty()) {
      s().suppressed = trigger + ": " + invalid_template_ + "; it runs afterwards";
      return;
    }
    s().suppressed.clear();
    start(trigger);
  }

  void blame_gates() {
    out_.problem_reason = policy_.retraining.reason;
    out_.problem = policy_.retraining.message;
  }

  void skip_firing(const std::string& why) {
    s().suppressed = cron_due_ + " at " + format_time(cron_due_at_) + ": " + why + kSkipped;
    event("RetrainingSkipped", s().suppressed);
    skip_schedule();
  }

  void skip_schedule() {
    if (s().schedule_checked) s().schedule_checked = std::chrono::floor<std::chrono::seconds>(now_);
    cron_due_.clear();
  }

  // One run answers everything that asked for one so far: it sees the newest data.
  void start(const std::string& trigger) {
    api::RetrainingRun run;
    run.number = ++s().run_number;
    run.name = retraining_job_name(o_.key.name, run.number);
    run.trigger = trigger;
    run.started = now_;
    s().run = run;
    s().last_trigger = trigger;
    s().last_run = run.name;
    s().last_result = kRunning;
    s().last_started = now_;
    ++s().runs_today;
    s().observed_request = spec_.requested_at;
    for (const auto& [name, digest] : digests_) s().datasets[name] = digest;
    skip_schedule();
    event("RetrainingStarted", "Job " + run.name + ", triggered by " + trigger);
    out_.started = true;
    make_job();
  }

  // ---- the run ----

  void make_job() {
    Result<Json> job = render_job(*o_.model, *s().run, stable_);
    if (!job) return close("Rejected: " + job.error().message, true);
    apply(Kind::Job, *job, "retrain, triggered by " + s().run->trigger);
  }

  void apply(Kind kind, const Json& body, const std::string& why) {
    const std::string text = body.dump();
    Apply action{
        {kind, {o_.key.ns, body["metadata"]["name"].get<std::string>()}}, text, "", hash_of(text), why};
    // An API server that says no to this very body (a template that is none) says it again: the run ends with
    // its words. Quota and rights may come back, so for them it waits, and says so.
    for (const Refusal& refusal : o_.refusals) {
      if (refusal.target != action.target || refusal.body_hash != action.hash) continue;
      if (refusal.error.kind == ErrorKind::Invalid) return close("Rejected: " + refusal.error.message, true);
      if (kind == Kind::Job && (refusal.error.kind == ErrorKind::Conflict || refusal.error.kind == ErrorKind::AlreadyExists)) {
        tell_taken();
        break;
      }
      s().last_result =
          whole_characters("Waiting for " + action.target.to_string() + ": " + refusal.error.message, kResultKept);
    }
    out_.actions.push_back(std::move(action));
  }

  void follow() {
    if (!cron_due_.empty()) skip_firing(s().run->name + " still runs");  // concurrency: Forbid
    auto found = o_.jobs.find(s().run->name);
    const bool there = found != o_.jobs.end();
    const std::string& uid = s().run->job_uid;
    if (!there && uid.empty()) return make_job();
    if (!there || (!uid.empty() && found->second->meta.uid != uid))
      return close("Rejected: Job " + s().run->name + " disappeared before its result was read", true);
    const api::Job& job = *found->second;
    if (!job.gate_of.empty()) return tell_taken();
    s().run->job_uid = job.meta.uid;
    s().last_result = kRunning;  // whatever it waited for
    if (job.failed)
      return close("Rejected: Job " + job.meta.key.name + " failed: " + job.failure_message, true);
    if (job.complete) return take_result(job);
    watch_start(job);
  }

  void tell_taken() {
    out_.problem_reason = "JobNameTaken";
    out_.problem = rollout::taken_job(s().run->name);
    s().last_result = whole_characters("Waiting: " + out_.problem, kResultKept);
  }

  // A Job none of whose pods begins would be under way for ever.
  void watch_start(const api::Job& job) {
    const JobTrouble trouble = trouble_of(o_, job, now_);
    if (trouble.look_again) look_again(*trouble.look_again);
    if (!trouble.why.empty()) s().last_result = whole_characters("Running: " + trouble.why, kResultKept);
    if (!trouble.waiting_since) return;
    const TimePoint until = *trouble.waiting_since + spec_.start_deadline;
    if (now_ < until) return look_again(until);
    out_.actions.push_back(Delete{{Kind::Job, job.meta.key}, job.meta.uid, "no pod of it began within limits.startDeadline"});
    close("Rejected: " + (trouble.why.empty() ? "Job " + job.meta.key.name : trouble.why) + "; no pod of it began within startDeadline " +
              format_duration(spec_.start_deadline),
          true);
  }

  void tell_who_waits() {
    if (const std::string trigger = wanting(); !trigger.empty())
      s().suppressed = trigger + ": " + s().run->name + " still runs; it runs afterwards";
  }

  void take_result(const api::Job& job) {
    Ask ask{"run/" + job.meta.uid, AskRunResult{job.meta.key, job.meta.uid}};
    auto answer = o_.answers.find(ask.id);
    out_.asks.push_back(std::move(ask));
    if (answer == o_.answers.end()) return;
    if (!answer->second.text) return close("Rejected: " + answer->second.problem, true);
    Result<api::RunResult> result = api::parse_run_result(*answer->second.text);
    if (!result) return close("Rejected: " + result.error().message, true);
    register_version(job, *result);
  }

  void register_version(const api::Job& job, const api::RunResult& result) {
    const std::string name = o_.version_name(result.artifact.digest);
    const Ref<api::ModelVersion> record = own_version(name);
    if (!record) {
      Json made = render_version(*o_.model, result, *s().run, job, stable_);
      made["metadata"]["name"] = name;
      return apply(Kind::ModelVersion, std::move(made), "register what " + s().run->name + " made");
    }
    if (record->artifact.digest != result.artifact.digest)
      return close("Rejected: ModelVersion " + name + " exists with another digest", true);
    if (!result.metrics.empty() && result.metrics != record->figures() && !record->meta.deleting) return evaluate(*record, result);
    if (name == stable_)
      return close("Unchanged: the run made the same bits as " + name + ", which serves", false);
    judge(*record);
  }

  // The same bits, measured anew: the newest evaluation counts. Its watch tells when it is on record.
  void evaluate(const api::ModelVersion& record, const api::RunResult& result) {
    out_.evaluated_version = record.meta.key.name;
    out_.evaluation = {s().run->name, now_, result.metrics};
    event("VersionEvaluated", "run " + s().run->name + " made the same bits as " + record.meta.key.name +
                                  " and reported other figures, which gates read from now on: they are in its status.evaluation");
  }

  Ref<api::ModelVersion> own_version(const std::string& name) const {
    for (const auto& version : o_.versions)
      if (version->meta.key.name == name) return version;
    return nullptr;
  }

  void judge(const api::ModelVersion& record) {
    const std::string& name = record.meta.key.name;
    if (!policy_.retraining.reason.empty()) {
      // A set went away during the run: that says nothing against what was trained.
      s().last_result = whole_characters("Waiting to judge " + name + ": " + policy_.retraining.message, kResultKept);
      return blame_gates();
    }
    const Ref<api::ModelVersion> stable = own_version(stable_);
    rollout::GateContext context;
    context.ns = o_.key.ns;
    context.model = o_.key.name;
    context.stable = stable_;
    context.candidate = name;
    context.candidate_metrics = &record.figures();
    context.stable_metrics = stable ? &stable->figures() : nullptr;
    for (const std::string& gate_name : spec_.gates) {
      const api::Gate* gate = policy_.policy->gate(gate_name);
      if (!gate || !gate->version_metric)
        return reject(record, "gate " + gate_name + " is no gate on a recorded metric");
      const api::GateStatus status = rollout::judge_recorded(*gate, context, now_);
      if (status.verdict != "Passed" && !gate->dry_run)
        return reject(record, "gate " + gate_name + " did not pass: " + status.message);
    }
    if (!rolls_out_) return registered("Registered: " + name);
    const std::string rollout = retraining_rollout_name(o_.key.name, name, s().run->number);
    const bool there = std::any_of(o_.rollouts.begin(), o_.rollouts.end(),
                                   [&](const auto& r) { return r->meta.key.name == rollout; });
    const auto last = o_.last_rollout(name);
    if (!there && last && (last->status.phase == "RolledBack" || last->status.phase == "Failed"))
      return close("Unchanged: the run made the same bits as " + name + ", whose ModelRollout " + last->meta.key.name +
                       " ended as " + last->status.phase + ": " + last->status.message,
                   true);
    if (!there && !last && !record.failed_rollout.empty())
      return close("Unchanged: the run made the same bits as " + name + ", whose ModelRollout " + record.failed_rollout +
                       " failed: " + record.message,
                   true);
    if (!there)
      return apply(Kind::ModelRollout, render_rollout(*o_.model, rollout, name, "retraining"),
                   "roll out what " + s().run->name + " made");
    registered("Registered: " + name + ", ModelRollout " + rollout);
  }

  // The run is closed once the version itself says so, or a crash in between would leave it Registered.
  void reject(const api::ModelVersion& record, const std::string& why) {
    out_.rejected_version = record.meta.key.name;
    out_.rejected_message = why;
    if (record.phase == "Rejected" || record.phase == "Candidate" || record.phase == "Serving")
      close("Rejected: " + record.meta.key.name + ": " + why, true);
    else
      look_again(now_);
  }

  void registered(const std::string& result) {
    s().last_retrained = now_;
    close(result, false);
  }

  void close(const std::string& result, bool bad) {
    s().last_result = whole_characters(result, kResultKept);
    s().last_finished = now_;
    s().run.reset();
    event(bad ? "RetrainingRejected" : "RetrainingFinished", result, bad);
    // A person may have asked, or data may have changed, meanwhile.
    look_again(now_);
  }

  // ---- history ----

  // That of a run which was closed, and then we crashed. A number beyond those that are on record is of a run that we have yet to hear of.
  bool is_left_over(const std::string& job) const {
    const api::RetrainingStatus& known = o_.model->status.retraining;
    const std::string newest = retraining_job_name(o_.key.name, known.run_number);
    return std::make_pair(job.size(), job) <= std::make_pair(newest.size(), newest) && !(known.run && known.run->name == job);
  }

  void prune_jobs() {
    std::vector<Ref<api::Job>> over;
    for (const auto& [name, job] : o_.jobs) {
      if (job->meta.deleting || !job->gate_of.empty() || (s().run && s().run->name == name)) continue;
      if (ended(*job))
        over.push_back(job);
      else if (is_left_over(name))
        out_.actions.push_back(Delete{{Kind::Job, job->meta.key}, job->meta.uid, "its run is over"});
    }
    std::sort(over.begin(), over.end(),
              [](const auto& a, const auto& b) { return a->meta.created > b->meta.created; });
    for (size_t i = kFinishedJobsKept; i < over.size(); ++i)
      out_.actions.push_back(Delete{
          {Kind::Job, over[i]->meta.key}, over[i]->meta.uid, "only the last few finished Jobs are kept"});
  }

  const Observed& o_;
  const rollout::Policy& policy_;
  const api::Retraining& spec_;
  const std::string& stable_;
  bool rolls_out_;
  const std::vector<std::string>& monitors_;
  TimePoint now_;
  std::map<std::string, std::string> digests_;  // by trigger, as they are now
  std::string cron_due_;                        // the trigger whose schedule has come
  TimePoint cron_due_at_;                       // and for when
  std::string invalid_template_;                // why no Job can be made
  std::string waiting_;                         // a trigger that cannot be read, and why
  Planned out_;
};

// No number and no request is used twice if it comes back.
Planned taken_away(const Observed& o, TimePoint now) {
  Planned out;
  api::RetrainingStatus& s = out.status = o.model->status.retraining;
  if (s.run) {
    s.last_result = "Rejected: spec.retraining was taken away before " + s.run->name + " ended";
    s.last_finished = now;
    s.run.reset();
    out.events.push_back({{Kind::Model, o.key}, o.model->meta.uid, true, "RetrainingRejected", s.last_result});
  }
  s.next_scheduled.reset();
  s.schedule_checked.reset();
  s.schedules.clear();
  s.suppressed.clear();
  for (const auto& [name, job] : o.jobs)  // nobody would read what they make
    if (job->gate_of.empty() && !job->complete && !job->failed && !job->meta.deleting)
      out.actions.push_back(Delete{{Kind::Job, job->meta.key}, job->meta.uid, "spec.retraining was taken away"});
  return out;
}

}  // namespace

Planned plan(const Observed& observed, const rollout::Policy& policy, const std::string& stable,
             bool rolls_out, const std::vector<std::string>& monitors, TimePoint now) {
  if (!observed.model->retraining) return taken_away(observed, now);
  return Training(observed, policy, stable, rolls_out, monitors, now).run();
}

}  // namespace mo::retraining
