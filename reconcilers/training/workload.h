// Training by an object of a kind that the operator doesn't know: what is made, what is asked of it, and how it goes. Pure.
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

// Why a run may not make this workload, or empty. It has to name the kind, because then admission asked whoever created it for the right to
// create that kind. So it also holds for a run that waited while the Model began to train by another kind.
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

// What the newest look at a trial's object found.
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
// Looks each ten seconds. The labels of spec.result.pods are told the run's variables, too.
WorkloadSeen look_at(const Observed& observed, const api::TrainingWorkload& spec, const api::TrainingRun& run, const api::TrialStatus& trial,
                     const std::string& stable, TimePoint now);

// What is told while the RunResult of a workload that succeeded is waited for: two minutes at most. Empty: it is not, or no longer. The trial's
// time of end, while it runs, is when its success was first seen.
std::string await_result(api::TrialStatus& trial, const WorkloadSeen& seen, TimePoint now);

// Why the queue has not admitted a Job, by Kueue's own words, or empty; asks each ten seconds.
std::string why_queued(const Observed& observed, const api::Job& job, TimePoint now, std::vector<Ask>& asks, std::optional<TimePoint>& look_again);

// The objects of a run that is to end: they go before its end is on record, or a crash in between would leave them to run for nobody.
struct WorkloadCleanup : Part {
  std::string waits_for;  // empty: all are gone, or cannot be deleted
  std::string left;       // which of them cannot be, and why
};
// `over`: names of those that ended by themselves, which stay for people to look at.
WorkloadCleanup end_workloads(const Observed& observed, const api::TrainingRun& run, const std::set<std::string>& over, TimePoint now);

}  // namespace mo::training
