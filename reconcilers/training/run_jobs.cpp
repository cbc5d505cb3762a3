#include "reconcilers/training/running.h"

#include <algorithm>

#include "reconcilers/common/job.h"
#include "reconcilers/measure/gates.h"
#include "reconcilers/training/import.h"
#include "reconcilers/training/workload.h"

namespace mo::training {

// What became of a Job, which is made if it is not on record that it was there.
Run::Seen Run::follow(const std::string& job_name, std::string& uid, const StageJob& part) {
  under_way_.push_back(job_name);
  auto found = o_.jobs.find(job_name);
  const bool there = found != o_.jobs.end();
  if (!there && uid.empty()) return make_job(part);
  if (!there || (!uid.empty() && found->second->meta.uid != uid)) {
    return {Is::Failed, "Job " + job_name + " disappeared before its result was read"};
  }
  const api::Job& job = *found->second;
  const bool ours = job.meta.controller_uid == run_.meta.uid || (job_name == in_.under_way.job && job.gate_of.empty());
  if (!ours) return tell_taken(job_name), Seen{};
  uid = job.meta.uid;
  if (job.failed) return {Is::Failed, "Job " + job_name + " failed: " + job.failure_message + mismatch(job), found->second};
  if (job.complete) return {Is::Complete, "", found->second};
  return watch_start(found->second);
}

// An artifact that was not what its digest says.
std::string Run::mismatch(const api::Job& job) const {
  for (const auto& pod : o_.job_pods)
    if (pod->meta.controller_uid == job.meta.uid && pod->digest_mismatch) return "; " + pod->problem;
  return "";
}

// What gates of the run read comes first of what an import reports.
RawJson Run::importing() const {
  std::vector<std::string> metrics;
  for (const std::string& name : spec_.all_gates()) {
    const api::Gate* gate = policy_.policy ? policy_.policy->gate(name) : nullptr;
    if (gate && gate->version_metric) metrics.push_back(*gate->version_metric);
  }
  return import_template(*imports_->mlflow, metrics, in_.settings);
}

Run::Seen Run::make_job(StageJob part) {
  if (imports_ && part.stage == "train") part.job_template = importing();
  Result<Json> job = render_job(*o_.model, run_, part, in_.stable);
  if (job && part.stage == "evaluate") {
    const Ref<api::ModelVersion> champion = o_.version(s().champion);
    if (const auto done = mount_artifacts(*job, s().result->artifact, champion.get(), in_.settings); !done)
      return {Is::Failed, done.error().message};
  }
  if (!job) return {Is::Failed, job.error().message};
  return apply(Kind::Job, *job, part.stage + " in " + name() + ", triggered by " + run_.trigger), Seen{};
}

void Run::apply(Kind kind, const Json& body, const std::string& why) {
  const std::string text = body.dump();
  Apply action{{kind, {o_.key.ns, body["metadata"]["name"].get<std::string>()}}, text, "", hash_of(text), why};
  // An API server that says no to this very body (a template that is none) says it again: the run ends with
  // its words. Quota and rights may come back, so for them it waits, and says so.
  for (const Refusal& refusal : o_.refusals) {
    if (refusal.target != action.target || refusal.body_hash != action.hash) continue;
    if (refusal.error.kind == ErrorKind::Invalid) return end("Failed", refusal.error.message);
    if (kind == Kind::Job && (refusal.error.kind == ErrorKind::Conflict || refusal.error.kind == ErrorKind::AlreadyExists)) {
      tell_taken(action.target.key.name);
      break;
    }
    wait("Waiting for " + action.target.to_string() + ": " + refusal.error.message);
  }
  out_.actions.push_back(std::move(action));
}

void Run::tell_taken(const std::string& job) {
  out_.problem_reason = "JobNameTaken";
  out_.problem = measure::taken_job(job);
  wait("Waiting: " + out_.problem);
}

// A Job none of whose pods begins would be under way for ever.
Run::Seen Run::watch_start(const Ref<api::Job>& job) {
  if (job->suspended) {
    queued_ = "Job " + job->meta.key.name;
    if (!spec_.kueue.empty()) why_queued_ = why_queued(o_, *job, now_, out_.asks, out_.look_again);
    return {};
  }
  runs_ = true;
  const JobTrouble trouble = trouble_of(o_, *job, now_);
  if (trouble.look_again) look_again(*trouble.look_again);
  if (!trouble.why.empty()) trouble_ = trouble.why;
  if (!trouble.waiting_since) return {};
  const TimePoint until = *trouble.waiting_since + spec_.start_deadline;
  if (now_ < until) return look_again(until), Seen{};
  under_way_.pop_back();  // it goes
  return {Is::Failed,
          (trouble.why.empty() ? "Job " + job->meta.key.name : trouble.why) + "; no pod started within startDeadline " +
              format_duration(spec_.start_deadline),
          job};
}

// What a Job that is complete said: nothing yet, its words, or why there are none.
std::optional<Result<std::string>> Run::text_of(const api::Job& job) {
  Ask ask{"run/" + job.meta.uid, AskRunResult{job.meta.key, job.meta.uid}};
  auto answer = o_.answers.find(ask.id);
  out_.asks.push_back(std::move(ask));
  if (answer == o_.answers.end()) return {};
  if (!answer->second.text) return Result<std::string>(fail(ErrorKind::Invalid, answer->second.problem));
  return Result<std::string>(*answer->second.text);
}

// Once for each Job: where its end is put on record.
void Run::count_time(const Ref<api::Job>& job) {
  if (!job) return;
  const TimePoint began = job->started.value_or(job->meta.created);
  const auto span = std::chrono::duration_cast<std::chrono::seconds>(job->finished.value_or(now_) - began).count();
  s().job_seconds += std::max<int64_t>(0, span);
}

// Of a run that ends before its Jobs: what is called off has cost its hours all the same.
void Run::count_what_runs() {
  const auto count = [&](const std::string& phase, const std::string& name) {
    const auto job = o_.jobs.find(name);
    if (phase == "Running" && job != o_.jobs.end() && job->second != measured_) count_time(job->second);
  };
  for (const api::StageStatus& stage : s().stages) count(stage.phase, stage.job);
  for (const api::TrialStatus& trial : s().trials) {
    count(trial.phase, trial.job);
    if (trial.phase == "Running" && !trial.workload.empty() && !trial.job_uid.empty()) count_workload(trial);
  }
}

// Those that nobody waits for any more: a crash may come between the word and the deed.
void Run::tidy() {
  for (const auto& entry : o_.jobs) {
    const api::Job* const job = entry.second.get();  // no structured binding: clang lets no lambda have one
    const bool idle = std::find(under_way_.begin(), under_way_.end(), entry.first) == under_way_.end();
    if (ended() || !idle || job->meta.controller_uid != run_.meta.uid || mo::ended(*job) || job->meta.deleting) continue;
    const bool gone = std::any_of(s().trials.begin(), s().trials.end(), [&](const auto& t) { return t.job == job->meta.key.name && t.phase == "Failed"; });
    if (gone) out_.actions.push_back(Delete{{Kind::Job, job->meta.key}, job->meta.uid, "its trial has finished"});
  }
}

}  // namespace mo::training
