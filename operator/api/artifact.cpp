#include "operator/api/artifact.h"

#include <string_view>

#include "operator/core/digest.h"
#include "operator/json/json.h"

namespace mo::api {

std::string Artifact::configmap() const {
  constexpr std::string_view scheme = "configmap://";
  return uri.starts_with(scheme) ? uri.substr(scheme.size(), uri.find('/', scheme.size()) - scheme.size()) : "";
}

std::string tag_of(const Artifact& artifact) {
  constexpr std::string_view scheme = "oci://";
  const std::string& uri = artifact.uri;
  const size_t slash = uri.find('/', scheme.size());
  if (!uri.starts_with(scheme) || slash == std::string::npos || uri.find('@') != std::string::npos) return "";
  return uri.find(':', slash) == std::string::npos ? "" : uri.substr(scheme.size());
}

void Pinned::apply_to(Artifact& artifact) const {
  if (artifact.uri != uri || tag_of(artifact).empty()) return;
  artifact.uri = by_digest();
  artifact.digest = digest;
}

std::string Pinned::by_digest() const { return uri.substr(0, uri.rfind(':')) + "@" + digest; }

std::string bits_of(const Artifact& artifact, const std::vector<Part>& parts) {
  if (parts.empty()) return artifact.digest;
  Json all = Json::array({artifact.digest});
  for (const Part& part : parts) all.push_back(Json::array({part.name, part.path, part.artifact.digest, part.artifact.unpack}));
  return sha256_of(all.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::vector<std::string> artifact_configmaps(const Artifact& artifact, const std::vector<Part>& parts) {
  std::vector<std::string> names;
  const auto add = [&](const Artifact& one) {
    if (std::string name = one.configmap(); !name.empty()) names.push_back(std::move(name));
  };
  add(artifact);
  for (const Part& part : parts) add(part.artifact);
  return names;
}

}  // namespace mo::api
