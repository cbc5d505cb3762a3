#include "reconcilers/serving/fetching.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "operator/core/size.h"
#include "operator/core/text.h"
#include "reconcilers/serving/render.h"
#include "reconcilers/serving/reserved.h"

namespace mo::serving {
namespace {

constexpr const char* kSourcePath = "/source";
constexpr const char* kCredentialsPath = "/credentials";
constexpr const char* kSignaturePath = "/signature";
constexpr const char* kPartsFolder = "parts";  // below the artifact volume
// Beside each artifact the volume holds its folder, and each file fills whole blocks.
constexpr uint64_t kVolumeSlack = 16u << 20;
constexpr uint64_t kLargestVolume = 1ull << 62;
// `model-operator fetch` gives up after 10 minutes. What is larger than usual gets more, by what a slow network brings.
constexpr uint64_t kFetchPatience = 600;        // seconds
constexpr uint64_t kSlowestFetch = 10'000'000;  // bytes a second
constexpr uint64_t kUsual = api::kDefaultArtifactBytes;
constexpr std::string_view kRegistry = "oci://";

bool is_remote(const std::string& uri) {
  for (const char* scheme : {"http://", "https://", "s3://", "oci://"})
    if (uri.starts_with(scheme)) return true;
  return false;
}

bool take_prefix(std::string& text, const std::string& prefix) {
  if (text.compare(0, prefix.size(), prefix) != 0) return false;
  text.erase(0, prefix.size());
  return true;
}

// Only characters that are plain in a path and a shell; a query string is no part of the name.
std::string file_name(std::string path) {
  path = path.substr(0, path.find_first_of("?#"));
  const size_t slash = path.find_last_of('/');
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  for (char& c : name)
    if (!(std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_')) c = '_';
  return name.empty() || name[0] == '.' ? "model" + name : name;
}

// From the file name of the URI: a folder has no suffix of an archive, and a registry names no file.
std::string output_name(const api::Artifact& artifact, const std::string& file) {
  if (artifact.uri.starts_with(kRegistry)) return "model";
  if (!artifact.unpack) return file;
  for (const std::string_view end : {".tar", ".tar.gz", ".tgz", ".tar.zst"})
    if (file.size() > end.size() && file.ends_with(end)) return file.substr(0, file.size() - end.size());
  return file;
}

Result<uint64_t> most_bytes(const api::Artifact& artifact) {
  if (artifact.size.empty()) return api::kDefaultArtifactBytes;
  if (const auto bytes = parse_size(artifact.size)) return *bytes;
  return fail(ErrorKind::Invalid, "artifact size " + artifact.size + " is not a size such as 500Mi or 2Gi");
}

uint64_t seconds_to_fetch(uint64_t max_bytes) { return max_bytes > kUsual ? kFetchPatience + max_bytes / kSlowestFetch : kFetchPatience; }

// A ConfigMap or claim by the URI of what it holds, under this name; nothing for what lies elsewhere.
std::optional<Json> volume_of(const std::string& uri, const std::string& volume) {
  const size_t scheme = uri.find("://"), slash = uri.find('/', scheme + 3);
  if (uri.empty() || is_remote(uri) || scheme == std::string::npos || slash == std::string::npos) return std::nullopt;
  const std::string name = uri.substr(scheme + 3, slash - scheme - 3);
  if (uri.starts_with("configmap://")) return Json{{"name", volume}, {"configMap", {{"name", name}}}};
  return Json{{"name", volume}, {"persistentVolumeClaim", {{"claimName", name}, {"readOnly", true}}}};
}

// By the digest alone: what a node has under it is that image.
Json image_volume(const api::Artifact& artifact) {
  return {{"image", {{"reference", artifact.uri.substr(kRegistry.size())}, {"pullPolicy", "IfNotPresent"}}}};
}

Result<Bring> to_bring(const api::Artifact& artifact, bool image_volumes) {
  const Result<uint64_t> max_bytes = most_bytes(artifact);
  std::string rest = artifact.uri;
  const bool configmap = take_prefix(rest, "configmap://");
  const bool claim = !configmap && take_prefix(rest, "pvc://");
  if (!configmap && !claim) {
    if (!is_remote(artifact.uri))
      return fail(ErrorKind::Invalid, "artifact uri " + redact_uri(artifact.uri) + " must be one of configmap://name/key, pvc://claim/path, " +
                                          "http(s)://…, s3://bucket/key, oci://registry/repository@sha256:…");
    if (!max_bytes) return fail(max_bytes.error());
    Bring remote{artifact, "", output_name(artifact, file_name(rest)), *max_bytes, {}};
    remote.image_volume = image_volumes && artifact.uri.starts_with(kRegistry);
    if (remote.image_volume) remote.volume = image_volume(artifact);
    return remote;
  }
  const size_t slash = rest.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == rest.size())
    return fail(ErrorKind::Invalid, "artifact uri " + redact_uri(artifact.uri) + " names no " +
                                        (configmap ? "key: configmap://name/key" : "path: pvc://claim/path"));
  if (!max_bytes) return fail(max_bytes.error());
  return Bring{artifact, "", output_name(artifact, file_name(rest.substr(slash + 1))), *max_bytes, volume_of(artifact.uri, kSourceVolume)};
}

std::string suffixed(const std::string& name, const std::string& role, const std::string& part = "") {
  return name + (role.empty() ? "" : "-" + role) + (part.empty() ? "" : "-" + part);
}

Json mount_of(const std::string& volume, const std::string& path) { return {{"name", volume}, {"mountPath", path}, {"readOnly", true}}; }

// What the kubelet pulls with is no matter of the container's; the CAs that it holds are, for a signature on a web server.
bool wants_credentials(const Bring& one) { return !one.artifact.secret.empty() && !(one.image_volume && one.artifact.signature_uri.empty()); }

std::string path_of(const Bring& one) { return std::string(kArtifactPath) + "/" + one.output; }

Json fetch_container(const Bring& one, const std::string& image, const Json& pod_security, const std::string& role) {
  const api::Artifact& artifact = one.artifact;
  const auto named = [&](const char* volume) { return suffixed(volume, role, one.part); };
  const bool credentials = wants_credentials(one);
  Json args = {"fetch", "--uri", artifact.uri, "--digest", artifact.digest, "--output", path_of(one), "--max-bytes", std::to_string(one.max_bytes)};
  Json mounts = Json::array();
  if (one.image_volume) {
    args.push_back("--mounted");
    mounts.push_back(mount_of(named(kImageVolume), path_of(one)));
  } else {
    mounts.push_back({{"name", suffixed(kArtifactVolume, role)}, {"mountPath", kArtifactPath}});
    if (one.volume) mounts.push_back(mount_of(named(kSourceVolume), kSourcePath));
  }
  if (credentials) {
    args.insert(args.end(), {"--credentials-dir", kCredentialsPath});
    mounts.push_back(mount_of(named(kCredentialsVolume), kCredentialsPath));
  }
  if (artifact.unpack) args.push_back("--unpack");
  if (one.max_bytes > kUsual) args.insert(args.end(), {"--timeout", std::to_string(seconds_to_fetch(one.max_bytes)) + "s"});
  if (!artifact.signature_uri.empty()) {
    args.insert(args.end(), {"--signature-uri", artifact.signature_uri, "--public-key", artifact.public_key});
    if (!is_remote(artifact.signature_uri)) mounts.push_back(mount_of(named(kSignatureVolume), kSignaturePath));
  }
  return {{"name", named(kFetchContainer)},
          {"image", image},
          {"args", std::move(args)},
          {"volumeMounts", std::move(mounts)},
          {"resources",
           {{"requests", {{"cpu", "10m"}, {"memory", "32Mi"}}}, {"limits", {{"cpu", "1"}, {"memory", "128Mi"}}}}},
          {"securityContext", restricted(pod_security)}};
}

// Of one container that fetches a part: the volumes of its artifact and signature. A template's own of such names has no such container.
void add_fetched(const Json& container, std::set<std::string>& volumes) {
  const Json said = container.is_object() ? container.value("name", Json()) : Json();
  std::string part = said.is_string() ? said.get<std::string>() : "";
  if (!take_prefix(part, kFetchContainer) || !part.starts_with("-")) return;
  for (const Json& mount : container.value("volumeMounts", Json::array()))
    for (const auto& [volume, path] : {std::pair(kSourceVolume, kSourcePath), std::pair(kSignatureVolume, kSignaturePath)})
      if (mount == mount_of(volume + part, path)) volumes.insert(volume + part);
}

}  // namespace

std::vector<std::string> configs_fetched(const Json& pods) {
  std::set<std::string> ours = {kSourceVolume, kSignatureVolume};
  const Json containers = pods.value("/spec/initContainers"_json_pointer, Json::array());
  const Json volumes = pods.value("/spec/volumes"_json_pointer, Json::array());
  if (containers.is_array())
    for (const Json& container : containers) add_fetched(container, ours);
  std::vector<std::string> names;
  if (!volumes.is_array()) return names;
  for (const Json& volume : volumes) {
    if (!volume.is_object() || !volume.contains("configMap") || !volume["configMap"].is_object()) continue;
    const Json name = volume.value("name", Json()), config = volume["configMap"].value("name", Json());
    if (name.is_string() && config.is_string() && ours.count(name.get<std::string>())) names.push_back(config);
  }
  return names;
}

std::string part_variable(const std::string& part) {
  std::string name = "MODEL_PART_";
  for (const char c : part) name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

Result<std::vector<Bring>> what_to_bring(const api::Artifact& artifact, const std::vector<api::Part>& parts, bool image_volumes) {
  std::vector<Bring> all;
  Result<Bring> first = to_bring(artifact, image_volumes);
  if (!first) return fail(first.error());
  if (!parts.empty() && first->output == kPartsFolder) first->output = "model";
  all.push_back(std::move(*first));
  for (const api::Part& part : parts) {
    Result<Bring> further = to_bring(part.artifact, image_volumes);
    if (!further) return fail(further.error().kind, "part " + part.name + ": " + further.error().message);
    further->part = part.name;
    further->output = std::string(kPartsFolder) + "/" + part.path;
    all.push_back(std::move(*further));
  }
  return all;
}

Json fetch_containers(const std::vector<Bring>& all, const std::string& image, const Json& pod_security, const std::string& role) {
  Json containers = Json::array();
  for (const Bring& one : all) containers.push_back(fetch_container(one, image, pod_security, role));
  return containers;
}

Json fetch_volumes(const std::vector<Bring>& all, const std::string& role) {
  uint64_t bytes = 0;
  for (const Bring& one : all)
    if (!one.image_volume) bytes = std::min(bytes + std::min(one.max_bytes, kLargestVolume) + kVolumeSlack, kLargestVolume);
  Json volumes = Json::array();
  if (bytes > 0) volumes.push_back({{"name", suffixed(kArtifactVolume, role)}, {"emptyDir", {{"sizeLimit", std::to_string(bytes)}}}});
  for (const Bring& one : all) {
    const auto named = [&](const char* volume) { return suffixed(volume, role, one.part); };
    if (one.volume) {
      volumes.push_back(*one.volume);
      volumes.back()["name"] = named(one.image_volume ? kImageVolume : kSourceVolume);
    }
    // Without the ConfigMap or the Secret the container starts, and says what is missing.
    if (auto volume = volume_of(one.artifact.signature_uri, named(kSignatureVolume))) {
      if (volume->contains("configMap")) (*volume)["configMap"]["optional"] = true;
      volumes.push_back(std::move(*volume));
    }
    if (wants_credentials(one))
      volumes.push_back({{"name", named(kCredentialsVolume)}, {"secret", {{"secretName", one.artifact.secret}, {"optional", true}}}});
  }
  return volumes;
}

bool has_image_volumes(const std::vector<Bring>& all) {
  return std::any_of(all.begin(), all.end(), [](const Bring& one) { return one.image_volume; });
}

// Where images lie beside what is fetched, each is mounted by itself: nothing can be mounted into a volume that is mounted read-only.
Json artifact_mounts(const std::vector<Bring>& all) {
  if (!has_image_volumes(all)) return Json::array({mount_of(kArtifactVolume, kArtifactPath)});
  Json mounts = Json::array();
  for (const Bring& one : all) {
    mounts.push_back(mount_of(one.image_volume ? suffixed(kImageVolume, "", one.part) : kArtifactVolume, path_of(one)));
    if (!one.image_volume) mounts.back()["subPath"] = one.output;
  }
  return mounts;
}

std::vector<std::string> pull_secrets(const std::vector<Bring>& all) {
  std::vector<std::string> names;
  for (const Bring& one : all)
    if (const std::string& secret = one.artifact.secret; one.image_volume && !secret.empty() && std::find(names.begin(), names.end(), secret) == names.end())
      names.push_back(secret);
  return names;
}

std::vector<std::pair<std::string, std::string>> part_variables(const std::vector<Bring>& all, const std::string& folder) {
  std::vector<std::pair<std::string, std::string>> variables;
  for (const Bring& one : all)
    if (!one.part.empty()) variables.emplace_back(part_variable(one.part), folder + "/" + one.output);
  return variables;
}

Duration time_to_fetch(const api::Artifact& artifact, const std::vector<api::Part>& parts) {
  const auto seconds = [](const api::Artifact& one) { return seconds_to_fetch(most_bytes(one).value_or(kUsual)); };
  uint64_t all = seconds(artifact);
  for (const api::Part& part : parts) all += seconds(part.artifact);
  constexpr uint64_t kLongest = 7 * 24 * 3600;
  return std::chrono::seconds(std::min(all, kLongest));
}

}  // namespace mo::serving
