// How what a version is made of comes into its pods: by containers that fetch, one for each artifact, or by image volumes. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/types.h"
#include "operator/core/result.h"
#include "operator/json/json.h"

namespace mo::serving {

// One artifact on its way into a pod.
struct Bring {
  api::Artifact artifact;
  std::string part;            // the part's name; empty: the version's own artifact
  std::string output;          // where it lies below the artifact volume
  uint64_t max_bytes = 0;
  std::optional<Json> volume;  // the ConfigMap or claim that it is in
  bool image_volume = false;   // the kubelet pulls and mounts it; a container sees that something is there, and verifies the signature
};

// The artifact first, then its parts. `image_volumes`: what lies in a registry comes by these. ErrorKind::Invalid when a URI or a size cannot be used.
Result<std::vector<Bring>> what_to_bring(const api::Artifact& artifact, const std::vector<api::Part>& parts, bool image_volumes = false);
bool has_image_volumes(const std::vector<Bring>& all);

// Init containers in that order. `role` is added to the names of containers and volumes where pods have the artifacts of several versions.
Json fetch_containers(const std::vector<Bring>& all, const std::string& image, const Json& pod_security, const std::string& role = "");
Json fetch_volumes(const std::vector<Bring>& all, const std::string& role = "");

// volumeMounts of the server: everything lies below kArtifactPath, wherever it is from.
Json artifact_mounts(const std::vector<Bring>& all);

// Secrets that the kubelet pulls the image volumes with, each once.
std::vector<std::string> pull_secrets(const std::vector<Bring>& all);

// The ConfigMaps that these containers of a pod bring artifacts and signatures from; what they hold is verified by itself.
std::vector<std::string> configs_fetched(const Json& pods);

// MODEL_PART_LORA for the part lora.
std::string part_variable(const std::string& part);

// Where `folder` is the artifact volume: {"MODEL_PART_LORA", "<folder>/parts/lora"} for each part.
std::vector<std::pair<std::string, std::string>> part_variables(const std::vector<Bring>& all, const std::string& folder);

// How long the containers may take that fetch this, each at its first try.
Duration time_to_fetch(const api::Artifact& artifact, const std::vector<api::Part>& parts);

}  // namespace mo::serving
