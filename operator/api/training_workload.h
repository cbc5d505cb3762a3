// Training by an object of any kind (a TrainJob, RayJob, JobSet, Workflow), of which the operator knows what Model.spec.retraining.workload says.
#pragma once

#include <map>
#include <string>

#include "operator/core/plan.h"

namespace mo::api {

// As spec.retraining.workload has it.
struct TrainingWorkload {
  RawJson object;                // with apiVersion and kind
  std::string resource;          // as the API server calls the kind in paths: jobsets
  std::string success, failure;  // CEL over the object
  struct RunResult {             // where it is; exactly one
    std::map<std::string, std::string> pods;  // labels of the pods, one of which reports it as a Job's pod does
    std::string expression;                   // CEL over the object that gives its text
  } result;
};

// An object of a run, by which it is found again whatever the spec says by then.
struct WorkloadRef {
  std::string api_version, kind, resource;
  bool empty() const { return resource.empty(); }
  bool operator==(const WorkloadRef&) const = default;
};

}  // namespace mo::api
