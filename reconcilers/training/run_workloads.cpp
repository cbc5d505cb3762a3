#include "reconcilers/training/running.h"

#include "operator/core/text.h"
#include "reconcilers/training/workload.h"

namespace mo::training {

void Run::follow_workload(api::TrialStatus& trial) {
  const std::string who = name_of(trial);
  if (!spec_.workload) return end("Failed", "spec.retraining.workload was removed before " + who + " ended");
  WorkloadSeen seen = look_at(o_, *spec_.workload, run_, trial, in_.stable, now_);
  std::move(seen.asks.begin(), seen.asks.end(), std::back_inserter(out_.asks));
  look_again(*seen.look_again);
  if (!seen.known) {
    if (!seen.problem.empty()) wait("Waiting for " + who + ": " + seen.problem + hint(seen.problem, "get"));
    return;
  }
  if (!seen.there) return seen.served ? make_workload(trial) : miss_kind(trial);
  if (seen.owner != run_.meta.uid) return tell_workload_taken(who);
  if (trial.job_uid.empty()) trial.job_uid = seen.uid;
  if (trial.job_uid != seen.uid || seen.deleting) return fail_workload(trial, who + " was deleted before its result was read");
  if (seen.failed) return fail_workload(trial, who + " failed" + (seen.says.empty() ? "" : ": " + seen.says));
  const std::string awaited = await_result(trial, seen, now_);
  if (seen.succeeded && awaited.empty()) return finish_workload(trial, seen.result);
  if (seen.suspended)
    queued_ = who;
  else
    runs_ = true;
  if (!seen.unclear.empty()) trouble_ = who + " is running, but its success and failure cannot be evaluated: " + seen.unclear;
  if (!awaited.empty()) trouble_ = awaited;
}

void Run::make_workload(api::TrialStatus& trial) {
  const std::string who = name_of(trial);
  if (!trial.job_uid.empty()) return fail_workload(trial, who + " was deleted before its result was read");
  // What is made is what the author was allowed to create, and no other kind under the path of before.
  if (ref_of(*spec_.workload) != trial.workload)
    return end("Failed", "spec.retraining.workload names another kind now, and " + who + " was not created yet");
  const Result<Json> body = render_workload(*o_.model, run_, {"train", trial.job, trial.index, trial.parameters}, in_.stable);
  if (!body) return end("Failed", body.error().message);
  Apply action = create_workload(trial, o_.key.ns, *body, "train in " + name() + ", triggered by " + run_.trigger);
  for (const Refusal& refusal : o_.refusals) {
    if (refusal.target != action.target || refusal.body_hash != action.hash) continue;
    if (refusal.error.kind == ErrorKind::Invalid) return end("Failed", who + " was refused: " + refusal.error.message);
    wait("Waiting for " + who + ": " + refusal.error.message + hint(refusal.error.message, "create"));
  }
  out_.actions.push_back(std::move(action));
}

// Whoever installs the engine later need ask for nothing.
void Run::miss_kind(api::TrialStatus& trial) {
  const std::string kind = trial.workload.kind + " (" + trial.workload.resource + " of " + trial.workload.api_version + ")";
  if (!trial.job_uid.empty()) return fail_workload(trial, name_of(trial) + " was deleted together with its kind: this cluster no longer serves " + kind);
  wait("Waiting for " + name_of(trial) + ": this cluster does not serve " + kind + "; install its engine, or correct spec.retraining.workload");
}

// What the operator lacks is a right that an admin gives.
std::string Run::hint(const std::string& problem, const std::string& verb) const {
  if (problem.find("cannot " + verb + " resource") == std::string::npos) return "";
  return std::string("; allow the operator to get, create and delete it by a ClusterRole with the label ") + kOperatorAggregation + ": \"true\"";
}

void Run::tell_workload_taken(const std::string& who) {
  out_.problem_reason = "WorkloadNameTaken";
  out_.problem = who + " already exists and does not belong to this run, so training cannot start; delete it";
  wait("Waiting: " + out_.problem);
}

void Run::fail_workload(api::TrialStatus& trial, const std::string& why) {
  end_workload(trial);
  fail_trial(trial, why);
}

void Run::finish_workload(api::TrialStatus& trial, const Result<std::string>& text) {
  const Result<api::RunResult> result = text ? api::parse_run_result(*text) : fail(text.error());
  end_workload(trial);
  if (!result) return fail_trial(trial, name_of(trial) + " succeeded, but " + result.error().message);
  take_result(trial, *result, "");
}

void Run::end_workload(const api::TrialStatus& trial) {
  over_.insert(trial.job);
  count_workload(trial);
}

// Of a run that ends before its workloads: they go first, since no watch would tell of those that a crash leaves.
void Run::end_what_runs() {
  std::erase_if(out_.actions, [](const Action& action) {
    const auto* made = std::get_if<Apply>(&action);
    return made && made->target.kind == Kind::Workload;
  });
  WorkloadCleanup cleanup = end_workloads(o_, in_.run, over_, now_);
  if (!cleanup.left.empty()) s().message = whole_characters(s().message + "; " + cleanup.left, kResultKept);
  if (cleanup.waits_for.empty()) return;
  const std::string end = s().phase + ": " + s().message;
  s() = in_.run.status;
  s().observed_generation = run_.meta.generation;
  s().message = whole_characters("ends as " + end + "; " + cleanup.waits_for + " is being deleted", kResultKept);
  out_.told = s().message;
  out_.events.clear();
  out_.take(std::move(cleanup));
}

// No time of its own is known of a workload; that which it waited for its quota counts, too.
void Run::count_workload(const api::TrialStatus& trial) {
  s().job_seconds += std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(now_ - trial.started.value_or(now_)).count());
}

}  // namespace mo::training
