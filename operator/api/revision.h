// A revision: all that pods are made of, that is a ModelVersion with its artifact, the runtime's pod template with the Model's laid over it, and
// the config that it names. A rollout moves a Model from one revision to another; nothing else changes what serves.
#pragma once

#include <string>

#include "operator/core/plan.h"

namespace mo::api {

// On Deployments, pods and copies of ConfigMaps: the revision's name.
inline constexpr const char* kLabelRevision = "modelops.dev/revision";
// On pods, by the cluster's own Deployment controller: which of the Deployment's templates they are of.
inline constexpr const char* kLabelTemplateHash = "pod-template-hash";

struct Revision {
  std::string name;         // a hash of what it is made of; empty if that was never known
  std::string deployment;   // the Deployment that runs it
  bool unlabelled = false;  // its pods are of an operator that knew no revisions: they bear no label of it
  bool unpinned = false;    // its pods read the ConfigMaps that the template names, not copies
  std::string asked;        // a hash of what spec.serving said of runtime, template and config when it was made
  RawJson pod_template;     // as its Deployment has it, but for the names of copied ConfigMaps; empty: not on record

  // The value of modelops.dev/revision on its pods.
  std::string label() const { return unlabelled ? "" : name; }
};

// A revision with the version that it is of.
struct Served {
  std::string version, digest;
  Revision revision;
};

}  // namespace mo::api
