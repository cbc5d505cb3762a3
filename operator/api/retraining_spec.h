// Model.spec.retraining: what starts a run of training, what each of its stages runs, and what holds runs back.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/outside_trigger.h"
#include "operator/api/training_workload.h"
#include "operator/core/plan.h"
#include "operator/core/time.h"

namespace mo::api {

struct Trigger {  // exactly one of schedule, dataset, http, oci, monitor, model and mlflow
  std::string name;
  struct Schedule {
    std::string cron;
    std::string time_zone = "UTC";
    std::optional<Duration> starting_deadline = {};  // later than that a firing is skipped; absent: never
    Duration jitter{0};  // a firing comes up to so much later, always by the same span for one Model and trigger
  };
  std::optional<Schedule> schedule;
  struct ConfigMapKeyRef {
    std::string name, key;
  };
  std::optional<ConfigMapKeyRef> dataset;
  std::optional<HttpDataset> http;
  std::optional<OciDataset> oci;
  std::optional<std::string> monitor;  // the name of one of spec.monitors
  std::optional<std::string> model;    // another Model of the namespace, whose newly promoted version starts a run
  std::optional<MlflowRegistry> mlflow;
};

// A Job beside the one that trains, and the gates on what it reports.
struct TrainingStage {
  RawJson job_template;  // JobTemplateSpec
  std::vector<std::string> gates;
};

inline constexpr int kMostTrials = 100;

struct Trials {
  int parallelism = 1;
  std::map<std::string, std::vector<std::string>> parameters;
  enum class Sample { Grid, Random } sample = Sample::Grid;
  int count = 0;  // of Random
  struct Objective {
    std::string metric;
    enum class Goal { Maximize, Minimize } goal = Goal::Maximize;
  } objective;
};

struct Retry {
  std::vector<std::string> until;  // gates
  int attempts = 3;
  Duration backoff{0};
};

struct Retraining {
  std::vector<Trigger> triggers;
  std::optional<TimePoint> requested_at;
  Duration cooldown{0};
  std::optional<int> max_per_day;
  std::optional<Decimal> job_hours_per_day;
  int attempts = 3;  // runs that a monitor may start before it has recovered
  Duration start_deadline = std::chrono::hours(1);  // for a run's Job to have a pod that runs
  std::optional<Duration> deadline;                 // for a whole run
  enum class Concurrency { Forbid, Replace } concurrency = Concurrency::Forbid;
  std::optional<TrainingStage> validate;
  RawJson job_template;  // JobTemplateSpec; empty without a workload: every run imports from a registry
  std::optional<TrainingWorkload> workload;  // in the place of job_template
  std::optional<Trials> trials;
  std::optional<TrainingStage> evaluate;
  std::optional<Retry> retry;
  std::vector<std::string> gates;
  enum class OnSuccess { Rollout, Register } on_success = OnSuccess::Rollout;
  std::vector<std::string> all_gates() const;  // that read what a run reports, by name, each once
  std::string kueue;  // queue.kueue: the LocalQueue that admits its Jobs; empty: none
};

}  // namespace mo::api
