#include "reconcilers/serving/reserved.h"

#include <algorithm>
#include <filesystem>

#include "operator/api/types.h"
#include "operator/core/text.h"
#include "operator/json/pod_template.h"
#include "reconcilers/serving/fetching.h"

namespace mo::serving {
namespace {

constexpr size_t kLongestMessage = 1024;  // names may be as long as a template

const Json& member(const Json& object, const char* name) {
  static const Json none;
  const auto it = object.is_object() ? object.find(name) : object.end();
  return it == object.end() ? none : *it;
}

std::string text(const Json& object, const char* name) {
  const Json& value = member(object, name);
  return value.is_string() ? value.get<std::string>() : "";
}

// As the kubelet mounts it: absolute, and plain.
std::string plain_path(const std::string& path) {
  const size_t begin = path.find_first_not_of('/');
  if (begin == std::string::npos) return "/";
  std::string plain = std::filesystem::path("/" + path.substr(begin)).lexically_normal().string();
  if (plain.size() > 1 && plain.back() == '/') plain.pop_back();
  return plain;
}

bool covers_artifact(const std::string& path) {
  const std::string plain = plain_path(path);
  return plain == "/" || plain == kArtifactPath || plain.starts_with(std::string(kArtifactPath) + "/");
}

// The first thing that is wrong, "" if nothing is. Each `where` names the list and each entry goes by its merge key: of merged lists
// nobody knows the indices.
class Reserved {
 public:
  explicit Reserved(const std::vector<std::string>& parts) : parts_(parts) {}

  std::string pod_template(const Json& value, const std::string& where) const {
    std::string wrong = owned_metadata(member(value, "metadata"), where + ".metadata", std::string(api::kGroup) + "/");
    const Json& spec = member(value, "spec");
    const std::string at = where + ".spec";
    if (wrong.empty() && !member(spec, "ephemeralContainers").is_null())
      wrong = at + ".ephemeralContainers cannot be part of a template; remove it, and use kubectl debug on a pod";
    for (const char* list : {"initContainers", "containers"})
      if (wrong.empty()) wrong = each(spec, list, "name", at, [&](const Json& one, const auto& here) { return container(one, here, list); });
    if (wrong.empty()) wrong = each(spec, "volumes", "name", at, [&](const Json& volume, const auto& here) {
      return is_ours(text(volume, "name")) ? here + " uses a name that the operator reserves; choose another name" : "";
    });
    return wrong;
  }

 private:
  // By the name itself, or by that of what belongs to a part.
  bool is_called(const std::string& name, const std::string& ours) const {
    return name == ours || std::any_of(parts_.begin(), parts_.end(), [&](const std::string& part) { return name == ours + "-" + part; });
  }

  bool is_ours(const std::string& volume) const {
    for (const char* ours : {kSourceVolume, kCredentialsVolume, kSignatureVolume})
      if (is_called(volume, ours)) return true;
    return volume == kArtifactVolume;
  }

  bool is_ours_to_set(const std::string& variable) const {
    if (variable == "MODEL_NAME" || variable == "MODEL_VERSION" || variable == "MODEL_PATH") return true;
    return std::any_of(parts_.begin(), parts_.end(), [&](const std::string& part) { return variable == part_variable(part); });
  }

  template <class F>
  static std::string each(const Json& parent, const char* list, const char* key, const std::string& where, const F& check) {
    const Json& entries = member(parent, list);
    if (!entries.is_array()) return "";
    for (const Json& entry : entries)
      if (std::string wrong = check(entry, where + "." + list + "[" + text(entry, key) + "]"); !wrong.empty()) return wrong;
    return "";
  }

  std::string container(const Json& one, const std::string& at, const std::string& list) const {
    const std::string name = text(one, "name");
    if (is_called(name, kFetchContainer)) return at + " uses a name that the operator reserves; choose another name";
    const bool server = list == "containers" && name == kServer;
    std::string wrong = each(one, "volumeMounts", "mountPath", at, [&](const Json& m, const auto& here) { return mount(m, here, server); });
    if (!wrong.empty() || !server) return wrong;
    wrong = each(one, "volumeDevices", "devicePath", at, [](const Json& device, const auto& here) {
      return covers_artifact(text(device, "devicePath")) ? over_artifact(here, "devicePath") : "";
    });
    return !wrong.empty() ? wrong : each(one, "env", "name", at, [&](const Json& variable, const auto& here) {
      return is_ours_to_set(text(variable, "name")) ? here + " is set by the operator; remove it" : "";
    });
  }

  std::string mount(const Json& one, const std::string& at, bool server) const {
    const std::string volume = text(one, "name");
    if (is_called(volume, kSourceVolume) || is_called(volume, kCredentialsVolume))
      return at + " mounts volume " + volume + ", which only container " + kFetchContainer + " may mount; add another volume";
    if (volume == kArtifactVolume && member(one, "readOnly") != true)
      return at + " mounts volume " + volume + " writable, but a verified artifact must not change; set readOnly: true";
    return server && covers_artifact(text(one, "mountPath")) ? over_artifact(at, "mountPath") : "";
  }

  static std::string over_artifact(const std::string& at, const char* field) {
    return at + " would hide the verified artifact, which the operator mounts at " + kArtifactPath + "; choose another " + field;
  }

  const std::vector<std::string>& parts_;
};

// The first container that mounts kArtifactVolume, or volume by a name of those that are mounted.
std::string with_image_volumes(const Json& pod_template, const std::string& where) {
  constexpr const char* kWayOut = "set spec.serving.ociArtifacts: Fetch, or ";
  const Json& spec = member(pod_template, "spec");
  for (const char* list : {"initContainers", "containers"})
    for (const Json& container : member(spec, list))
      for (const Json& mount : member(container, "volumeMounts"))
        if (text(mount, "name") == kArtifactVolume)
          return where + ".spec." + list + "[" + text(container, "name") + "].volumeMounts[" + text(mount, "mountPath") + "] mounts volume " + kArtifactVolume +
                 ", and the kubelet mounts this version's artifacts as image volumes; " + kWayOut + "remove the mount";
  for (const Json& volume : member(spec, "volumes"))
    if (const std::string name = text(volume, "name"); name == kImageVolume || name.starts_with(std::string(kImageVolume) + "-"))
      return where + ".spec.volumes[" + name + "] uses a name that the operator reserves for image volumes; " + kWayOut + "choose another name";
  return "";
}

}  // namespace

Result<void> check_no_artifact_volume(const Json& pod_template, const std::string& where) {
  const std::string wrong = with_image_volumes(pod_template, where);
  if (!wrong.empty()) return fail(ErrorKind::Invalid, whole_characters(wrong, kLongestMessage));
  return {};
}

Result<void> check_reserved(const Json& pod_template, const std::string& where, const std::vector<std::string>& parts) {
  const std::string wrong = Reserved(parts).pod_template(pod_template, where);
  if (!wrong.empty()) return fail(ErrorKind::Invalid, whole_characters(wrong, kLongestMessage));
  return {};
}

}  // namespace mo::serving
