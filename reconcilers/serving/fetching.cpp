#include "reconcilers/serving/fetching.h"

#include <string_view>

#include "reconcilers/serving/reserved.h"

namespace mo::serving {
namespace {

constexpr const char* kSignaturePath = "/signature";
// `model-operator fetch` gives up after 10 minutes. What is larger than usual gets more, by what a slow network brings.
constexpr uint64_t kSlowest = 10'000'000;  // bytes a second
constexpr uint64_t kUsual = api::kDefaultArtifactBytes;

}  // namespace

bool is_remote(const std::string& uri) {
  for (const char* scheme : {"http://", "https://", "s3://", "oci://"})
    if (uri.starts_with(scheme)) return true;
  return false;
}

std::string output_name(const api::Artifact& artifact, const std::string& file) {
  if (artifact.uri.starts_with("oci://")) return "model";
  if (!artifact.unpack) return file;
  for (const std::string_view end : {".tar", ".tar.gz", ".tgz", ".tar.zst"})
    if (file.size() > end.size() && file.ends_with(end)) return file.substr(0, file.size() - end.size());
  return file;
}

void add_wishes(const api::Artifact& artifact, uint64_t max_bytes, Json& args, Json& mounts) {
  if (artifact.unpack) args.push_back("--unpack");
  if (max_bytes > kUsual) args.insert(args.end(), {"--timeout", std::to_string(600 + max_bytes / kSlowest) + "s"});
  if (artifact.signature_uri.empty()) return;
  args.insert(args.end(), {"--signature-uri", artifact.signature_uri, "--public-key", artifact.public_key});
  if (!is_remote(artifact.signature_uri))
    mounts.push_back({{"name", kSignatureVolume}, {"mountPath", kSignaturePath}, {"readOnly", true}});
}

std::optional<Json> signature_volume(const api::Artifact& artifact) {
  const std::string& uri = artifact.signature_uri;
  const size_t scheme = uri.find("://"), slash = uri.find('/', scheme + 3);
  if (uri.empty() || is_remote(uri) || scheme == std::string::npos || slash == std::string::npos) return std::nullopt;
  const std::string name = uri.substr(scheme + 3, slash - scheme - 3);
  Json volume = {{"name", kSignatureVolume}};
  if (uri.starts_with("configmap://"))
    volume["configMap"] = {{"name", name}, {"optional", true}};  // without it the container starts, and says what is missing
  else
    volume["persistentVolumeClaim"] = {{"claimName", name}, {"readOnly", true}};
  return volume;
}

}  // namespace mo::serving
