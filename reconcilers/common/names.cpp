#include "reconcilers/common/names.h"

#include <cstdio>

namespace mo {

std::string version_suffix(const std::string& model, const std::string& version) {
  const std::string prefix = model + "-";
  if (version.size() > prefix.size() && version.compare(0, prefix.size(), prefix) == 0)
    return version.substr(prefix.size());
  return version;
}

std::string deployment_name(const std::string& model, const std::string& version) {
  return model + "-" + version_suffix(model, version);
}

std::string candidate_service_name(const std::string& model) { return model + "-candidate"; }

std::string version_name_for(const std::string& model, const std::string& digest) {
  return model + "-" + digest.substr(digest.find(':') + 1, 10);
}

std::string long_version_name_for(const std::string& model, const std::string& digest) {
  return model + "-" + digest.substr(digest.find(':') + 1, 14);
}

std::string spec_rollout_name(const std::string& model, const std::string& version, int64_t generation) {
  return deployment_name(model, version) + "-" + std::to_string(generation);
}

std::string retraining_rollout_name(const std::string& model, const std::string& version, int64_t run) {
  return deployment_name(model, version) + "-run" + std::to_string(run);
}

std::string retraining_job_name(const std::string& model, int64_t run) {
  char number[24];
  std::snprintf(number, sizeof number, "%06lld", static_cast<long long>(run));
  return model + "-retrain-" + number;
}

std::string artifact_configmap(const api::Artifact& artifact) { return artifact.configmap(); }

Json to_json(const api::Artifact& artifact) {
  Json format = {{"name", artifact.format.name}};
  if (!artifact.format.version.empty()) format["version"] = artifact.format.version;
  Json out = {{"uri", artifact.uri}, {"digest", artifact.digest}, {"format", std::move(format)}};
  if (!artifact.size.empty()) out["size"] = artifact.size;
  if (artifact.unpack) out["unpack"] = true;
  if (!artifact.signature_uri.empty()) out["signature"] = {{"uri", artifact.signature_uri}, {"publicKey", artifact.public_key}};
  if (!artifact.secret.empty()) out["credentials"] = {{"secretName", artifact.secret}};
  return out;
}

}  // namespace mo
