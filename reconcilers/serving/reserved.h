// What a pod template may not say because the operator says it: who verifies the artifact, where it lies, and whose pod it is. Pure.
#pragma once

#include <string>
#include <vector>

#include "operator/core/result.h"
#include "operator/json/json.h"

namespace mo::serving {

inline constexpr const char* kServer = "server";  // the container that serves
inline constexpr const char* kFetchContainer = "modelops-fetch";
inline constexpr const char* kArtifactVolume = "modelops-artifact";
inline constexpr const char* kSourceVolume = "modelops-source";            // the artifact's ConfigMap or claim
inline constexpr const char* kCredentialsVolume = "modelops-credentials";  // the Secret of artifact.credentials
inline constexpr const char* kSignatureVolume = "modelops-signature";      // the ConfigMap or claim of artifact.signature
inline constexpr const char* kImageVolume = "modelops-image";              // an artifact that the kubelet pulls and mounts
inline constexpr const char* kArtifactPath = "/artifact";                  // where the server has kArtifactVolume

// Names of what belongs to a part are these with "-" and the part's name. They are the operator's in pods of a version that has such a part; of
// other versions' pods a template may have them, as it always might.

// `pod_template` is one that read_pod_template() let pass, or two such merged. ErrorKind::Invalid, and the sentence begins with
// `where`, if it
// - has a container or volume by a name of the operator's, or ephemeral containers,
// - mounts the artifact's volume writable anywhere, or the source's or the credentials' at all,
// - mounts anything over the artifact in the server, or sets MODEL_NAME, MODEL_VERSION, MODEL_PATH or the variable of a part there,
// - has a label or annotation under modelops.dev/.
Result<void> check_reserved(const Json& pod_template, const std::string& where, const std::vector<std::string>& parts = {});

// For pods with image volumes, whose names are the operator's there alone: kArtifactVolume has no, or not every artifact. ErrorKind::Invalid if the
// template mounts it or has volumes of such names.
Result<void> check_no_artifact_volume(const Json& pod_template, const std::string& where);

}  // namespace mo::serving
