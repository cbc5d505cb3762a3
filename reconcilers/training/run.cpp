#include "reconcilers/training/run.h"

#include <algorithm>
#include <set>

#include "operator/api/run_result.h"
#include "operator/core/text.h"
#include "reconcilers/common/job.h"
#include "reconcilers/common/names.h"
#include "reconcilers/rollout/advance.h"
#include "reconcilers/measure/gates.h"
#include "reconcilers/training/import.h"
#include "reconcilers/training/job.h"
#include "reconcilers/training/workload.h"

namespace mo::training {
namespace {

using Metrics = std::map<std::string, std::string>;

class Run {
 public:
  Run(const RunInput& in, TimePoint now)
      : in_(in),
        o_(in.observed),
        imports_(import_of(*in.observed.model->retraining, in.run.trigger)),
        reduced_(imports_ ? std::optional(for_import(*in.observed.model->retraining)) : std::nullopt),
        spec_(imports_ ? *reduced_ : *in.observed.model->retraining),
        policy_(in.policy),
        now_(now) {
    run_ = in.run;
    out_.status = run_.status;
  }

  RunPlan advance() {
    s().observed_generation = run_.meta.generation;
    begin();
    if (!stopped() && !waits_for_retry()) {
      go();
      tidy();
    }
    tell();
    if (ended()) end_what_runs();
    return std::move(out_);
  }

 private:
  enum class Is { Waits, Failed, Complete };
  struct Seen {
    Is is = Is::Waits;
    std::string why;
    Ref<api::Job> job = {};
  };

  api::TrainingRunStatus& s() { return out_.status; }
  const std::string& name() const { return run_.meta.key.name; }
  bool ended() const { return ended_; }

  void look_again(TimePoint at) {
    if (!out_.look_again || at < *out_.look_again) out_.look_again = at;
  }

  // ---- beginning and end ----

  // The number behind the name is as good a beginning as any, and the same after a crash.
  void begin() {
    if (s().attempt > 0) return;
    s().attempt = 1;
    s().started = now_;
    s().seed = run_.seed.value_or(in_.under_way.number);
    s().champion = in_.stable;
    if (in_.under_way.job.empty()) return;
    // The Job of a run that an operator before TrainingRuns started.
    stage("train").started = in_.under_way.started;
    api::TrialStatus trial;
    trial.phase = "Running";
    trial.job = in_.under_way.job;
    trial.job_uid = in_.under_way.job_uid;
    trial.started = in_.under_way.started;
    s().trials = {trial};
  }

  void end(const std::string& phase, const std::string& message) {
    if (ended_) return;
    ended_ = true;
    count_what_runs();
    count_time(std::exchange(measured_, nullptr));
    s().phase = phase;
    s().message = whole_characters(message, kResultKept);
    s().finished = now_;
    s().retry_at.reset();
    for (api::StageStatus& stage : s().stages)
      if (stage.phase == "Running") close(stage, phase == "Succeeded" ? "Succeeded" : "Failed", phase == "Succeeded" ? "" : message);
    for (api::TrialStatus& trial : s().trials)
      if (trial.phase == "Running" || trial.phase == "Pending") trial.phase = "Failed";
    out_.events.push_back({{Kind::TrainingRun, run_.meta.key}, run_.meta.uid, phase != "Succeeded", "Run" + phase, s().message});
  }

  // Whatever it is doing. Its Jobs go once that is on record.
  bool stopped() {
    if (run_.desired_state == "Cancelled") return end("Cancelled", "desiredState is Cancelled"), true;
    if (!in_.cancel.empty()) return end("Cancelled", in_.cancel), true;
    if (run_.trigger_kind == "Registry" && !imports_)
      return end("Failed", "trigger " + run_.trigger + ", from whose registry it imports, was taken out of spec.retraining"), true;
    // Before validation is paid for.
    const std::string barred = spec_.workload && !imports_ && s().stages.empty() ? not_allowed(*spec_.workload, run_) : "";
    if (!barred.empty()) return end("Failed", barred), true;
    if (!spec_.deadline) return false;
    const TimePoint until = *s().started + *spec_.deadline;
    if (now_ < until) return look_again(until), false;
    const std::string at = s().stages.empty() ? "" : " in stage " + s().stages.back().name;
    end("Failed", "it was not done" + at + " within limits.deadline " + format_duration(*spec_.deadline));
    return true;
  }

  bool waits_for_retry() {
    if (!s().retry_at) return false;
    if (now_ < *s().retry_at) return look_again(*s().retry_at), true;
    s().retry_at.reset();
    ++s().attempt;
    ++s().seed;
    s().result.reset();
    std::erase_if(s().stages, [](const api::StageStatus& stage) { return stage.name != "validate"; });
    return false;
  }

  // ---- stages ----

  void go() {
    run_.status = s();  // what Jobs are told of attempt and seed
    if (spec_.validate && !s().stage("train") && !done("validate") && !validate()) return;
    if (!done("train") && !train()) return;
    if (spec_.evaluate && !done("evaluate") && !evaluate()) return;
    if (!spec_.evaluate && !s().stage("register") && !good_enough(s().result->metrics, recorded(s().champion))) return;
    register_version();
  }

  bool done(const std::string& name) const {
    const api::StageStatus* stage = out_.status.stage(name);
    return stage && stage->phase == "Succeeded";
  }

  api::StageStatus& stage(const std::string& name) {
    for (api::StageStatus& stage : s().stages)
      if (stage.name == name) return stage;
    api::StageStatus stage;
    stage.name = name;
    stage.phase = "Running";
    stage.started = now_;
    s().stages.push_back(std::move(stage));
    return s().stages.back();
  }

  void close(api::StageStatus& stage, const std::string& phase, const std::string& message) {
    stage.phase = phase;
    stage.message = whole_characters(message, kResultKept);
    stage.finished = now_;
    count_time(std::exchange(measured_, nullptr));
  }

  bool validate() {
    api::StageStatus& stage = this->stage("validate");
    doing_ = "Validating";
    const auto result = stage_result(stage, "validate");
    if (!result) return false;
    stage.metrics = result->metrics;
    const auto why = unsatisfied(spec_.validate->gates, result->metrics, {}, "the data");
    if (waiting_) return false;
    if (why) {
      end("Rejected", "the data is not fit to train on: " + *why);
      return false;
    }
    close(stage, "Succeeded", "");
    return true;
  }

  // The figures of both, by a Job that trained neither.
  bool evaluate() {
    doing_ = "Evaluating";
    api::StageStatus& stage = this->stage("evaluate");
    if (stage.job.empty()) s().champion = in_.stable;
    const auto result = stage_result(stage, "evaluate");
    if (!result) return false;
    if (result->metrics.empty()) {
      end("Failed", "Job " + stage.job + " evaluated and reported no metrics");
      return false;
    }
    if (!good_enough(result->metrics, result->champion_metrics)) return false;
    stage.metrics = result->metrics;
    const auto why = unsatisfied(spec_.evaluate->gates, result->metrics, result->champion_metrics, "the candidate");
    if (waiting_) return false;
    if (why) {
      end("Rejected", *why);
      return false;
    }
    set_score(result->metrics);
    close(stage, "Succeeded", s().champion.empty() ? "" : "compared with " + s().champion);
    return true;
  }

  // Of a stage that is one Job, which makes no artifact.
  std::optional<api::RunResult> stage_result(api::StageStatus& stage, const std::string& which) {
    const std::string part = s().attempt > 1 && which != "validate" ? which + "-a" + std::to_string(s().attempt) : which;
    if (stage.job.empty()) stage.job = run_job_name(name(), part);
    const Seen seen = follow(stage.job, stage.job_uid, {which, stage.job, s().result ? s().result->trial : 0, run_.parameters});
    if (seen.is == Is::Waits) return {};
    measured_ = seen.job;
    if (seen.is == Is::Failed) {
      end("Failed", seen.why);
      return {};
    }
    const auto text = text_of(*seen.job);
    if (!text) return {};
    Result<api::RunResult> result = *text ? api::parse_run_result(**text, true) : fail(text->error());
    if (!result) {
      end("Failed", "Job " + stage.job + ": " + result.error().message);
      return {};
    }
    return std::move(*result);
  }

  // ---- trials ----

  bool train() {
    doing_ = "Training";
    stage("train");
    if (!expand_trials()) return false;
    int running = 0;
    for (api::TrialStatus& trial : s().trials) {
      if (trial.attempt != s().attempt || trial.phase != "Running") continue;
      follow_trial(trial);
      if (ended()) return false;
      running += trial.phase == "Running";
    }
    const int side_by_side = spec_.trials ? std::max(1, spec_.trials->parallelism) : 1;
    for (api::TrialStatus& trial : s().trials) {
      if (trial.attempt != s().attempt || trial.phase != "Pending" || running >= side_by_side) continue;
      trial.phase = "Running";
      trial.started = now_;
      trial.job = run_job_name(name(), part_of(trial));
      if (spec_.workload && !imports_) trial.workload = ref_of(*spec_.workload);
      ++running;
      follow_trial(trial);
      if (ended()) return false;
    }
    return running == 0 && trained();
  }

  std::string part_of(const api::TrialStatus& trial) const {
    std::string part = "train";
    if (trial.attempt > 1) part += "-a" + std::to_string(trial.attempt);
    if (spec_.trials) part += "-t" + std::to_string(trial.index);
    return part;
  }

  bool expand_trials() {
    const auto& trials = s().trials;
    if (std::any_of(trials.begin(), trials.end(), [&](const auto& t) { return t.attempt == s().attempt; })) return true;
    const Result<std::vector<Parameters>> sets = expand(spec_.trials, run_.parameters, s().seed);
    if (!sets) return end("Failed", sets.error().message), false;
    for (size_t i = 0; i < sets->size(); ++i) {
      api::TrialStatus trial;
      trial.attempt = s().attempt;
      trial.index = static_cast<int>(i);
      trial.parameters = (*sets)[i];
      trial.phase = "Pending";
      s().trials.push_back(std::move(trial));
    }
    // Of attempts before, as many as there is room for.
    if (trials.size() > api::kMostTrials)
      s().trials.erase(s().trials.begin(), s().trials.end() - std::max<std::ptrdiff_t>(api::kMostTrials, sets->size()));
    return true;
  }

  // ---- training by another kind than Job ----

  void follow_workload(api::TrialStatus& trial) {
    const std::string who = name_of(trial);
    if (!spec_.workload) return end("Failed", "spec.retraining.workload was taken out before " + who + " ended");
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
    if (!seen.unclear.empty()) trouble_ = who + " is under way; it cannot be told yet how it ends: " + seen.unclear;
    if (!awaited.empty()) trouble_ = awaited;
  }

  void make_workload(api::TrialStatus& trial) {
    const std::string who = name_of(trial);
    if (!trial.job_uid.empty()) return fail_workload(trial, who + " was deleted before its result was read");
    // What is made is what the author was allowed to create, and no other kind under the path of before.
    if (ref_of(*spec_.workload) != trial.workload)
      return end("Failed", "spec.retraining.workload names another kind since " + who + " was to be made");
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
  void miss_kind(api::TrialStatus& trial) {
    const std::string kind = trial.workload.kind + " (" + trial.workload.resource + " of " + trial.workload.api_version + ")";
    if (!trial.job_uid.empty()) return fail_workload(trial, name_of(trial) + " has gone with its kind: this cluster serves no " + kind + " any more");
    wait("Waiting for " + name_of(trial) + ": this cluster serves no " + kind + "; install its engine, or mend spec.retraining.workload");
  }

  // What the operator lacks is a right that an admin gives.
  std::string hint(const std::string& problem, const std::string& verb) const {
    if (problem.find("cannot " + verb + " resource") == std::string::npos) return "";
    return std::string("; let the operator get, create and delete it by a ClusterRole with the label ") + kOperatorAggregation + ": \"true\"";
  }

  void tell_workload_taken(const std::string& who) {
    out_.problem_reason = "WorkloadNameTaken";
    out_.problem = who + " exists already and is not of this run, so training cannot begin; delete it";
    wait("Waiting: " + out_.problem);
  }

  void fail_workload(api::TrialStatus& trial, const std::string& why) {
    end_workload(trial);
    fail_trial(trial, why);
  }

  void finish_workload(api::TrialStatus& trial, const Result<std::string>& text) {
    const Result<api::RunResult> result = text ? api::parse_run_result(*text) : fail(text.error());
    end_workload(trial);
    if (!result) return fail_trial(trial, name_of(trial) + " succeeded, but " + result.error().message);
    take_result(trial, *result, "");
  }

  void end_workload(const api::TrialStatus& trial) {
    over_.insert(trial.job);
    count_workload(trial);
  }

  // Of a run that ends before its workloads: they go first, since no watch would tell of those that a crash leaves.
  void end_what_runs() {
    std::erase_if(out_.actions, [](const Action& action) {
      const auto* made = std::get_if<Apply>(&action);
      return made && made->target.kind == Kind::Workload;
    });
    Ending ending = end_workloads(o_, in_.run, over_, now_);
    if (!ending.left.empty()) s().message = whole_characters(s().message + "; " + ending.left, kResultKept);
    if (ending.waits_for.empty()) return;
    const std::string end = s().phase + ": " + s().message;
    s() = in_.run.status;
    s().observed_generation = run_.meta.generation;
    s().message = whole_characters("ends as " + end + "; " + ending.waits_for + " is being deleted", kResultKept);
    out_.told = s().message;
    out_.events.clear();
    std::move(ending.asks.begin(), ending.asks.end(), std::back_inserter(out_.asks));
    std::move(ending.actions.begin(), ending.actions.end(), std::back_inserter(out_.actions));
    look_again(*ending.look_again);
  }

  void follow_trial(api::TrialStatus& trial) {
    if (!trial.workload.empty()) return follow_workload(trial);
    const Seen seen = follow(trial.job, trial.job_uid, {"train", trial.job, trial.index, trial.parameters});
    if (seen.is == Is::Waits || ended()) return;
    if (seen.is == Is::Failed) {
      std::optional<Result<std::string>> words = Result<std::string>("");
      if (imports_ && seen.job && seen.job->failed) words = text_of(*seen.job);
      if (!words) return;  // what the importing program said is on its way
      count_time(seen.job);
      return fail_trial(trial, seen.why + (*words && !(*words)->empty() ? ": " + api::excerpt(**words, kResultKept) : ""));
    }
    const auto text = text_of(*seen.job);
    if (!text) return;
    count_time(seen.job);
    const Result<api::RunResult> result = !*text     ? fail(text->error())
                                          : imports_ ? read_import(*imports_->mlflow, **text)
                                                     : api::parse_run_result(**text);
    if (!result) return fail_trial(trial, result.error().message);
    // What an import ran in says nothing of what the version was made in.
    take_result(trial, *result, imports_ ? "" : seen.job->image);
  }

  void fail_trial(api::TrialStatus& trial, const std::string& why) {
    trial.phase = "Failed";
    trial.finished = now_;
    trial.message = whole_characters(why, kResultKept);
  }

  void take_result(api::TrialStatus& trial, const api::RunResult& result, const std::string& image) {
    if (spec_.trials && !result.metrics.count(spec_.trials->objective.metric))
      return fail_trial(trial, "it reported no metric " + spec_.trials->objective.metric + ", by which trials.objective chooses");
    const std::string lineage = result.lineage.dump();
    if (lineage.size() > kLargestLineage)
      return fail_trial(trial, "the RunResult's lineage has " + std::to_string(lineage.size()) + " bytes, and at most " +
                                   std::to_string(kLargestLineage) + " are kept");
    trial.phase = "Succeeded";
    trial.finished = now_;
    if (spec_.trials) trial.metrics[spec_.trials->objective.metric] = result.metrics.at(spec_.trials->objective.metric);
    for (const auto& [name, value] : result.metrics)
      if (trial.metrics.size() < kMetricsOfTrial) trial.metrics.emplace(name, value);
    if (!is_better(trial.index, result.metrics)) return;
    s().result = api::TrainedResult{trial.index, result.artifact, result.metrics, lineage, image};
  }

  // Of equal ones the first, in whatever order they end.
  bool is_better(int index, const Metrics& metrics) const {
    const auto& best = out_.status.result;
    if (!best || !spec_.trials) return true;
    const auto& objective = spec_.trials->objective;
    const auto ours = Decimal::parse(metrics.at(objective.metric));
    const auto held = best->metrics.find(objective.metric);
    const auto theirs = held == best->metrics.end() ? std::nullopt : Decimal::parse(held->second);
    if (!theirs || !ours) return !theirs;
    const bool minimize = objective.goal == api::Trials::Objective::Goal::Minimize;
    if (*ours < *theirs) return minimize;
    if (*theirs < *ours) return !minimize;
    return index < best->trial;
  }

  bool trained() {
    size_t all = 0;
    std::string first_failure;
    for (const api::TrialStatus& trial : s().trials) {
      if (trial.attempt != s().attempt) continue;
      ++all;
      if (first_failure.empty() && trial.phase == "Failed") first_failure = trial.message;
    }
    if (!s().result) {
      end("Failed", all == 1 ? first_failure : "none of " + std::to_string(all) + " trials succeeded, the first: " + first_failure);
      return false;
    }
    api::StageStatus& stage = this->stage("train");
    stage.metrics = s().result->metrics;
    set_score(s().result->metrics);
    close(stage, "Succeeded",
          spec_.trials ? "trial " + std::to_string(s().result->trial) + " of " + std::to_string(all) + " is the best: " +
                             spec_.trials->objective.metric + " " + s().score
                       : "");
    return true;
  }

  // ---- gates ----

  // Why one of these does not pass; the gates must be there, or the run waits.
  std::optional<std::string> unsatisfied(const std::vector<std::string>& gates, const Metrics& metrics, const Metrics& champion,
                                         const std::string& what) {
    if (gates.empty()) return {};
    if (!policy_.retraining.reason.empty()) {
      wait("Waiting to judge " + what + ": " + policy_.retraining.message);
      out_.problem_reason = policy_.retraining.reason;
      out_.problem = policy_.retraining.message;
      return {};
    }
    measure::GateContext context;
    context.ns = o_.key.ns;
    context.model = o_.key.name;
    context.stable = s().champion;
    context.candidate = what;
    context.candidate_metrics = &metrics;
    context.stable_metrics = &champion;
    for (const std::string& gate_name : gates) {
      const api::Gate* gate = policy_.policy->gate(gate_name);
      if (!gate || !gate->version_metric) return "gate " + gate_name + " must be a version gate (version.metric)";
      const api::GateStatus status = measure::judge_recorded(*gate, context, now_);
      if (status.verdict == "Passed" || gate->dry_run) continue;
      return "gate " + gate_name + " did not pass: " + status.message + claimed(*gate->version_metric, metrics);
    }
    return {};
  }

  // What training said of itself, where the evaluation says something else.
  std::string claimed(const std::string& metric, const Metrics& figures) const {
    const auto& result = out_.status.result;
    if (!result) return "";
    const auto told = result->metrics.find(metric), found = figures.find(metric);
    if (told == result->metrics.end() || found == figures.end() || told->second == found->second) return "";
    return " (training reported " + told->second + ")";
  }

  // retry.until: else it is trained once more.
  bool good_enough(const Metrics& figures, const Metrics& champion) {
    if (!spec_.retry) return true;
    const auto why = unsatisfied(spec_.retry->until, figures, champion, "the candidate");
    if (waiting_) return false;
    if (!why) return true;
    const std::string which = "attempt " + std::to_string(s().attempt) + " of " + std::to_string(spec_.retry->attempts) + ": " + *why;
    if (s().attempt >= spec_.retry->attempts) return end("Rejected", which), false;
    if (spec_.evaluate) close(stage("evaluate"), "Failed", *why);
    s().retry_at = now_ + spec_.retry->backoff;
    look_again(*s().retry_at);
    wait(which + "; the next begins at " + format_time(*s().retry_at));
    out_.events.push_back({{Kind::TrainingRun, run_.meta.key}, run_.meta.uid, false, "RunTrainsAgain", s().message});
    return false;
  }

  void set_score(const Metrics& figures) {
    std::string metric;
    if (spec_.trials) metric = spec_.trials->objective.metric;
    for (const std::string& gate_name : spec_.all_gates()) {
      const api::Gate* gate = metric.empty() && policy_.policy ? policy_.policy->gate(gate_name) : nullptr;
      if (gate && gate->version_metric && figures.count(*gate->version_metric)) metric = *gate->version_metric;
    }
    const auto found = figures.find(metric);
    if (found != figures.end()) s().score = found->second;
  }

  // ---- registering ----

  Metrics figures() {
    const api::StageStatus* evaluated = s().stage("evaluate");
    return evaluated && evaluated->phase == "Succeeded" ? evaluated->metrics : s().result->metrics;
  }

  void register_version() {
    stage("register");
    const std::string& digest = s().result->artifact.digest;
    const std::string version = o_.version_name(digest);
    const Metrics figures = this->figures();
    const Ref<api::ModelVersion> record = own_version(version);
    if (!record) {
      run_.status = s();
      Json made = render_version(*o_.model, run_, figures, in_.stable);
      made["metadata"]["name"] = version;
      return apply(Kind::ModelVersion, std::move(made), "register what " + name() + " made");
    }
    if (record->bits() != digest) return end("Failed", "ModelVersion " + version + " exists with another digest");
    s().version = version;
    if (!figures.empty() && figures != record->figures() && !record->meta.deleting) {
      // The same bits, measured anew: the newest evaluation counts. Its watch tells when it is on record.
      out_.evaluated_version = version;
      out_.evaluation = {name(), now_, figures};
      out_.events.push_back({{Kind::Model, o_.key}, o_.model->meta.uid, false, "VersionEvaluated",
                             "run " + name() + " made the same bits as " + version +
                                 " and reported other figures, which gates read from now on: they are in its status.evaluation"});
      return;
    }
    if (version == in_.stable) return end("Succeeded", "Unchanged: the run made the same bits as " + version + ", which serves");
    judge(*record);
  }

  Ref<api::ModelVersion> own_version(const std::string& name) const {
    for (const auto& version : o_.versions)
      if (version->meta.key.name == name) return version;
    return nullptr;
  }

  Metrics recorded(const std::string& version) const {
    const Ref<api::ModelVersion> record = own_version(version);
    return record ? record->figures() : Metrics{};
  }

  void judge(const api::ModelVersion& record) {
    s().champion = in_.stable;  // whatever took its place meanwhile
    const auto why = unsatisfied(spec_.gates, record.figures(), recorded(in_.stable), record.meta.key.name);
    if (waiting_) return;
    if (why) return reject(record, *why);
    const std::string& name = record.meta.key.name;
    if (in_.pinned || run_.on_success != api::Retraining::OnSuccess::Rollout) return end("Succeeded", "Registered: " + name);
    const std::string rollout = retraining_rollout_name(o_.key.name, name, in_.under_way.number);
    const bool there = std::any_of(o_.rollouts.begin(), o_.rollouts.end(),
                                   [&](const auto& r) { return r->meta.key.name == rollout; });
    const auto last = o_.last_rollout(name);
    const std::string same = "the run made the same bits as " + name + ", whose ModelRollout ";
    if (!there && last && (last->status.phase == "RolledBack" || last->status.phase == "Failed"))
      return end("Rejected", same + last->meta.key.name + " ended as " + last->status.phase + ": " + last->status.message);
    if (!there && !last && !record.failed_rollout.empty())
      return end("Rejected", same + record.failed_rollout + " failed: " + record.message);
    if (!there)
      return apply(Kind::ModelRollout, render_rollout(*o_.model, rollout, name, "retraining"), "roll out what " + this->name() + " made");
    end("Succeeded", "Registered: " + name + ", ModelRollout " + rollout);
  }

  // The run is over once the version itself says so, or a crash in between would leave it Registered.
  void reject(const api::ModelVersion& record, const std::string& why) {
    out_.rejected_version = record.meta.key.name;
    out_.rejected_message = why;
    if (record.phase == "Rejected" || record.phase == "Candidate" || record.phase == "Serving")
      end("Rejected", record.meta.key.name + ": " + why);
    else
      look_again(now_);
  }

  // ---- Jobs ----

  // What became of a Job, which is made if it is not on record that it was there.
  Seen follow(const std::string& job_name, std::string& uid, const Part& part) {
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
  std::string mismatch(const api::Job& job) const {
    for (const auto& pod : o_.job_pods)
      if (pod->meta.controller_uid == job.meta.uid && pod->digest_mismatch) return "; " + pod->problem;
    return "";
  }

  // What gates of the run read comes first of what an import reports.
  RawJson importing() const {
    std::vector<std::string> metrics;
    for (const std::string& name : spec_.all_gates()) {
      const api::Gate* gate = policy_.policy ? policy_.policy->gate(name) : nullptr;
      if (gate && gate->version_metric) metrics.push_back(*gate->version_metric);
    }
    return import_template(*imports_->mlflow, metrics, in_.settings);
  }

  Seen make_job(Part part) {
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

  void apply(Kind kind, const Json& body, const std::string& why) {
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

  void tell_taken(const std::string& job) {
    out_.problem_reason = "JobNameTaken";
    out_.problem = measure::taken_job(job);
    wait("Waiting: " + out_.problem);
  }

  // A Job none of whose pods begins would be under way for ever.
  Seen watch_start(const Ref<api::Job>& job) {
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
  std::optional<Result<std::string>> text_of(const api::Job& job) {
    Ask ask{"run/" + job.meta.uid, AskRunResult{job.meta.key, job.meta.uid}};
    auto answer = o_.answers.find(ask.id);
    out_.asks.push_back(std::move(ask));
    if (answer == o_.answers.end()) return {};
    if (!answer->second.text) return Result<std::string>(fail(ErrorKind::Invalid, answer->second.problem));
    return Result<std::string>(*answer->second.text);
  }

  // Once for each Job: where its end is put on record.
  void count_time(const Ref<api::Job>& job) {
    if (!job) return;
    const TimePoint began = job->started.value_or(job->meta.created);
    const auto span = std::chrono::duration_cast<std::chrono::seconds>(job->finished.value_or(now_) - began).count();
    s().job_seconds += std::max<int64_t>(0, span);
  }

  // Of a run that ends before its Jobs: what is called off has cost its hours all the same.
  void count_what_runs() {
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

  // No time of its own is known of a workload; that which it waited for its quota counts, too.
  void count_workload(const api::TrialStatus& trial) {
    s().job_seconds += std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(now_ - trial.started.value_or(now_)).count());
  }

  // Those that nobody waits for any more: a crash may come between the word and the deed.
  void tidy() {
    for (const auto& entry : o_.jobs) {
      const api::Job* const job = entry.second.get();  // no structured binding: clang lets no lambda have one
      const bool idle = std::find(under_way_.begin(), under_way_.end(), entry.first) == under_way_.end();
      if (ended() || !idle || job->meta.controller_uid != run_.meta.uid || mo::ended(*job) || job->meta.deleting) continue;
      const bool gone = std::any_of(s().trials.begin(), s().trials.end(), [&](const auto& t) { return t.job == job->meta.key.name && t.phase == "Failed"; });
      if (gone) out_.actions.push_back(Delete{{Kind::Job, job->meta.key}, job->meta.uid, "its trial is over"});
    }
  }

  // ---- what people see ----

  void wait(const std::string& message) {
    waiting_ = true;
    s().message = whole_characters(message, kResultKept);
  }

  void tell() {
    if (ended()) return;
    const bool queued = !queued_.empty() && !runs_;
    if (!doing_.empty()) s().phase = queued ? "Queued" : doing_;
    if (s().phase.empty()) s().phase = "Pending";
    if (waiting_ || s().retry_at) {
      out_.told = s().retry_at ? "Running: " + s().message : s().message;
      return;
    }
    const std::string held = spec_.kueue.empty() ? "somebody holds it" : "LocalQueue " + spec_.kueue + " has not admitted it" + (why_queued_.empty() ? "" : ": " + why_queued_);
    const std::string why = queued ? queued_ + " is suspended: " + held : trouble_;
    s().message = whole_characters(why.empty() ? progress() : why, kResultKept);
    if (!why.empty()) out_.told = (queued ? "Queued: " : "Running: ") + s().message;
  }

  std::string progress() {
    if (s().stages.empty()) return "";
    const api::StageStatus& stage = s().stages.back();
    if (stage.name == "register") return "registering the ModelVersion";
    if (stage.name != "train") return "Job " + stage.job + " is under way";
    int all = 0, over = 0;
    std::string job;
    for (const api::TrialStatus& trial : s().trials) {
      if (trial.attempt != s().attempt) continue;
      ++all;
      over += trial.phase == "Succeeded" || trial.phase == "Failed";
      job = trial.workload.empty() ? "Job " + trial.job : name_of(trial);
    }
    if (all == 1) return job + " is under way";
    return std::to_string(over) + " of " + std::to_string(all) + " trials are over";
  }

  const RunInput& in_;
  const Observed& o_;
  const api::Trigger* const imports_;  // null: it trains
  const std::optional<api::Retraining> reduced_;
  const api::Retraining& spec_;
  const rollout::Policy& policy_;
  TimePoint now_;
  api::TrainingRun run_;  // with the attempt that Jobs are made for
  bool ended_ = false, waiting_ = false, runs_ = false;
  std::string doing_, queued_, why_queued_, trouble_;
  std::vector<std::string> under_way_;  // Jobs
  std::set<std::string> over_;          // workloads that ended by themselves
  Ref<api::Job> measured_;              // of the stage that is to be closed
  RunPlan out_;
};

}  // namespace

RunPlan advance(const RunInput& input, TimePoint now) { return Run(input, now).advance(); }

}  // namespace mo::training
