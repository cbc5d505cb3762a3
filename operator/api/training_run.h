// The kind TrainingRun: one run of training, made by the operator for a trigger or written by a person.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/types.h"

namespace mo::api {

struct StageStatus {
  std::string name;   // validate | train | evaluate | register
  std::string phase;  // Running | Succeeded | Failed
  std::string job, job_uid;  // of a stage that is one Job; uid: once the Job was seen
  std::optional<TimePoint> started, finished;
  std::map<std::string, std::string> metrics;
  std::string message;
};

struct TrialStatus {
  int attempt = 1, index = 0;
  std::map<std::string, std::string> parameters;
  std::string phase;  // Pending | Running | Succeeded | Failed
  std::string job, job_uid;
  WorkloadRef workload;  // of an object that is no Job, with the name and UID above
  std::optional<TimePoint> started, finished;
  std::map<std::string, std::string> metrics;  // the objective's first, a few of the others
  std::string message;
};

// The best trial's result so far, whole: what is evaluated and registered.
struct TrainedResult {
  int trial = 0;
  Artifact artifact;
  std::map<std::string, std::string> metrics;
  RawJson lineage = "{}";
  std::string image;  // of its Job
};

struct TrainingRunStatus {
  int64_t observed_generation = -1;
  // Pending | Queued | Validating | Training | Evaluating | Succeeded | Rejected | Failed | Cancelled
  std::string phase, message;
  std::vector<Condition> conditions;
  std::vector<StageStatus> stages;  // those that have begun, of the attempt under way
  std::vector<TrialStatus> trials;
  int attempt = 0;     // 0: has not begun
  int64_t seed = 0;    // of the attempt
  std::optional<TrainedResult> result;
  std::string champion;  // the version that it was compared with
  std::string version;   // that it made, or made once more
  std::string score;     // of the objective, or of the first gate
  std::optional<TimePoint> started, finished, retry_at;
  int64_t job_seconds = 0;  // of Jobs that have ended
  RawJson raw = "{}";

  const StageStatus* stage(const std::string& name) const {
    for (const StageStatus& s : stages)
      if (s.name == name) return &s;
    return nullptr;
  }
};

// Of one that is over, and whose last spec was observed, status keeps only what decisions still read: phase, message, version, times
// and job_seconds.
struct TrainingRun {
  ObjectMeta meta;
  std::string model;
  std::string trigger, trigger_kind;
  std::map<std::string, std::string> parameters;  // fixed ones, told to every Job
  std::optional<int64_t> seed;
  std::string workload;  // the kind that it may make, "jobsets.jobset.x-k8s.io"; empty: Jobs alone
  Retraining::OnSuccess on_success = Retraining::OnSuccess::Register;
  std::string desired_state;  // empty is Running
  std::string changed_by;  // annotation modelops.dev/changed-by: who created it
  bool generated_name = false;
  TrainingRunStatus status;
  std::string problem;
};

inline bool is_over(const TrainingRun& run) {
  const std::string& p = run.status.phase;
  return p == "Succeeded" || p == "Rejected" || p == "Failed" || p == "Cancelled";
}

}  // namespace mo::api
