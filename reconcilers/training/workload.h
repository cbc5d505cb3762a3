// Training with an object of any kind (spec.retraining.workload): rendering, checking and deleting it. Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reconcilers/common/observed.h"
#include "reconcilers/common/part.h"
#include "reconcilers/training/job.h"

namespace mo::training {

inline constexpr const char* kWorkload = "spec.retraining.workload";
inline constexpr const char* kOperatorAggregation = "modelops.dev/aggregate-to-operator";  // the label of ClusterRoles that give it rights

// What a TrainingRun calls the kind of a workload: "jobsets.jobset.x-k8s.io".
std::string kind_named(const api::TrainingWorkload& spec);

// Why a run may not make this workload, or empty. The run must name the kind, because then admission checked that its creator may
// create that kind. This also covers a run that waited while the Model changed to another kind.
std::string not_allowed(const api::TrainingWorkload& spec, const api::TrainingRun& run);

// The object as people wrote it. ErrorKind::Invalid, and the sentence begins with the field, if it is too large, of another shape or of a kind
// that is no engine's, has labels or annotations of the operator's, or an expression that is none.
Result<Json> read_workload(const api::TrainingWorkload& spec);

// "TrainJob m-run-000001-train", for people.
std::string name_of(const api::TrialStatus& trial);
api::WorkloadRef ref_of(const api::TrainingWorkload& spec);

// As render_job() does it, but what a Job is told by its environment stands in the texts of the object, as $(MODELOPS_SEED).
Result<Json> render_workload(const api::Model& model, const api::TrainingRun& run, const StageJob& part, const std::string& stable);
Apply create_workload(const api::TrialStatus& trial, const std::string& ns, const Json& body, const std::string& why);

// The last observed state of a trial's object.
struct WorkloadSeen {
  bool known = false;  // false: nothing yet, or `problem`
  std::string problem;
  bool there = false, served = true, deleting = false, suspended = false, succeeded = false, failed = false;
  bool awaited = false;  // it succeeded, and pods that have not ended may yet report its RunResult
  std::string uid, owner, says, unclear;  // unclear: why success or failure can't be told
  Result<std::string> result = fail(ErrorKind::NotFound, "");  // once it succeeded: the RunResult's text
  std::vector<Ask> asks;
  std::optional<TimePoint> look_again;
};
// Asks every ten seconds. Variables in the labels of spec.result.pods are expanded too.
WorkloadSeen look_at(const Observed& observed, const api::TrainingWorkload& spec, const api::TrainingRun& run, const api::TrialStatus& trial,
                     const std::string& stable, TimePoint now);

// The message while the RunResult of a successful workload is awaited, for at most two minutes. Empty: it is not awaited. Until then the trial's
// end time is when its success was first observed.
std::string await_result(api::TrialStatus& trial, const WorkloadSeen& seen, TimePoint now);

// Kueue's reason for not admitting a Job, or empty; asks every ten seconds.
std::string why_queued(const Observed& observed, const api::Job& job, TimePoint now, std::vector<Ask>& asks, std::optional<TimePoint>& look_again);

// Deletes the objects of a run before its end is stored, so that a crash in between does not leave them running.
struct WorkloadCleanup : Part {
  std::string waits_for;  // the object being deleted; empty: none is left, or it cannot be deleted
  std::string left;       // the object that cannot be deleted, and why
};
// `over`: names of objects that ended by themselves, which are kept for inspection.
WorkloadCleanup end_workloads(const Observed& observed, const api::TrainingRun& run, const std::set<std::string>& over, TimePoint now);

}  // namespace mo::training
