// What all objects have: names of ours on them, metadata, conditions. Values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/core/ids.h"
#include "operator/core/time.h"

namespace mo::api {

inline constexpr const char* kGroup = "modelops.dev";
inline constexpr const char* kApiVersion = "modelops.dev/v1alpha1";
inline constexpr const char* kFieldManager = "model-operator";
inline constexpr const char* kLabelManagedBy = "app.kubernetes.io/managed-by";
inline constexpr const char* kLabelModel = "modelops.dev/model";
inline constexpr const char* kLabelVersion = "modelops.dev/version";
inline constexpr const char* kLabelService = "kubernetes.io/service-name";  // on EndpointSlices
// On a Model that has something to give back before it goes.
inline constexpr const char* kFinalizer = "modelops.dev/give-back";
inline constexpr const char* kAnnotationApplied = "modelops.dev/applied";  // hash of what we last applied
inline constexpr const char* kAnnotationNotSticky =
    "modelops.dev/session-persistence-refused";  // on an HTTPRoute: hash of the sessionPersistence that the API server would not have
inline constexpr const char* kAnnotationCopyOf = "modelops.dev/copy-of";  // on our copy: the ConfigMap that it is of
inline constexpr const char* kAnnotationCopiedAt = "modelops.dev/copied-at";  // its resourceVersion; "": none
inline constexpr const char* kLabelGateOf = "modelops.dev/gate-of";  // on the Jobs of gates: UID of the ModelRollout
inline constexpr const char* kAnnotationGate = "modelops.dev/gate";  // on the Jobs of gates: the gate's name
inline constexpr const char* kLabelMirrorOf =
    "modelops.dev/mirror-of";  // on the Jobs that tell a registry what serves: UID of the Model
inline constexpr const char* kLabelJobOf = "modelops.dev/job-of";  // on the pods of our Jobs: the Model
// On ModelRollouts that the operator wrote: spec | retraining. On those that a person made by a program of ours: the next two.
inline constexpr const char* kLabelOrigin = "modelops.dev/origin";
inline constexpr const char* kOriginPlugin = "kubectl-model";
inline constexpr const char* kOriginRuntime = "runtime";  // the operator, of a ModelRuntime with update.policy Automatic
inline constexpr const char* kOriginArgoCd = "argocd";  // the action retry

// Who wrote the spec of a Model, a ModelRollout or a ModelVersion last. Admission lets nobody write another's name.
inline constexpr const char* kAnnotationChangedBy = "modelops.dev/changed-by";
inline constexpr const char* kOperatorAuthor = "model-operator";  // its value for what the operator writes on its own account
// On a ModelRollout: who set desiredState or resumeRequestedAt last. Admission lets nobody write another's name.
inline constexpr const char* kAnnotationSteeredBy = "modelops.dev/steered-by";
// On a ModelAudit: the installation that made it, and exports it whatever becomes of its Model.
inline constexpr const char* kAnnotationInstallation = "modelops.dev/installation";
// On a ModelAudit, by the operator, once its records are where --audit-export says: "TIME UID FIRST LAST HEAD", of its Model and records.
inline constexpr const char* kAnnotationExported = "modelops.dev/exported";

struct ObjectMeta {
  ObjectKey key;
  std::string uid;
  std::string resource_version;
  int64_t generation = 0;
  TimePoint created{};
  bool deleting = false;       // metadata.deletionTimestamp is set
  std::string controller_uid;  // UID of the owner with controller: true
  std::vector<std::string> finalizers;
  bool held() const { return std::find(finalizers.begin(), finalizers.end(), kFinalizer) != finalizers.end(); }
};

struct Condition {
  std::string type;
  std::string status;  // True | False | Unknown
  std::string reason;
  std::string message;
  TimePoint last_transition{};
  int64_t observed_generation = 0;
};

}  // namespace mo::api
