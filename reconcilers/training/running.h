// The implementation of advance() (run.h) for one TrainingRun. Each subject has a file: run.cpp the stages and how a run begins
// and ends, run_trials.cpp trials, run_workloads.cpp training by another kind than Job, run_judge.cpp gates and what is registered,
// run_jobs.cpp Jobs. Only for these files.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "operator/api/run_result.h"
#include "reconcilers/training/job.h"
#include "reconcilers/training/run.h"

namespace mo::training {

class Run {
 public:
  Run(const RunInput& in, TimePoint now);
  RunPlan advance();

 private:
  using Metrics = std::map<std::string, std::string>;
  enum class Is { Waits, Failed, Complete };
  struct Seen {
    Is is = Is::Waits;
    std::string why;
    Ref<api::Job> job = {};
  };

  api::TrainingRunStatus& s() { return out_.status; }
  const std::string& name() const { return run_.meta.key.name; }
  bool ended() const { return ended_; }
  void look_again(TimePoint at) { out_.look_again_at(at); }

  // ---- stages: run.cpp ----

  void begin();
  void end(const std::string& phase, const std::string& message);
  bool stopped();
  bool waits_for_retry();
  void go();
  bool done(const std::string& name) const;
  api::StageStatus& stage(const std::string& name);
  void close(api::StageStatus& stage, const std::string& phase, const std::string& message);
  bool validate();
  bool evaluate();
  std::optional<api::RunResult> stage_result(api::StageStatus& stage, const std::string& which);
  void wait(const std::string& message);
  void tell();
  std::string progress();

  // ---- trials: run_trials.cpp ----

  bool train();
  std::string part_of(const api::TrialStatus& trial) const;
  bool expand_trials();
  void follow_trial(api::TrialStatus& trial);
  void fail_trial(api::TrialStatus& trial, const std::string& why);
  void take_result(api::TrialStatus& trial, const api::RunResult& result, const std::string& image);
  bool is_better(int index, const Metrics& metrics) const;
  bool trained();

  // ---- training by another kind than Job: run_workloads.cpp ----

  void follow_workload(api::TrialStatus& trial);
  void make_workload(api::TrialStatus& trial);
  void miss_kind(api::TrialStatus& trial);
  std::string hint(const std::string& problem, const std::string& verb) const;
  void tell_workload_taken(const std::string& who);
  void fail_workload(api::TrialStatus& trial, const std::string& why);
  void finish_workload(api::TrialStatus& trial, const Result<std::string>& text);
  void end_workload(const api::TrialStatus& trial);
  void end_what_runs();
  void count_workload(const api::TrialStatus& trial);

  // ---- gates, and what is registered: run_judge.cpp ----

  std::optional<std::string> unsatisfied(const std::vector<std::string>& gates, const Metrics& metrics, const Metrics& champion,
                                         const std::string& what);
  std::string claimed(const std::string& metric, const Metrics& figures) const;
  bool good_enough(const Metrics& figures, const Metrics& champion);
  void set_score(const Metrics& figures);
  Metrics figures();
  void register_version();
  Ref<api::ModelVersion> own_version(const std::string& name) const;
  Metrics recorded(const std::string& version) const;
  void judge(const api::ModelVersion& record);
  void reject(const api::ModelVersion& record, const std::string& why);

  // ---- Jobs: run_jobs.cpp ----

  Seen follow(const std::string& job_name, std::string& uid, const StageJob& part);
  std::string mismatch(const api::Job& job) const;
  RawJson importing() const;
  Seen make_job(StageJob part);
  void apply(Kind kind, const Json& body, const std::string& why);
  void tell_taken(const std::string& job);
  Seen watch_start(const Ref<api::Job>& job);
  std::optional<Result<std::string>> text_of(const api::Job& job);
  void count_time(const Ref<api::Job>& job);
  void count_what_runs();
  void tidy();

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

}  // namespace mo::training
