#include "operator/json/strategic_merge.h"

#include <algorithm>
#include <utility>

namespace mo {
namespace {

constexpr const char* kDirective = "$patch";

// Within a PodTemplateSpec a list's name decides how it merges: no two lists of one name differ in that.
const char* merge_key_of(const std::string& list) {
  static constexpr std::pair<const char*, const char*> kKeys[] = {
      {"containers", "name"},
      {"initContainers", "name"},
      {"ephemeralContainers", "name"},
      {"volumes", "name"},
      {"env", "name"},
      {"imagePullSecrets", "name"},
      {"resourceClaims", "name"},
      {"schedulingGates", "name"},
      {"ports", "containerPort"},
      {"volumeMounts", "mountPath"},
      {"volumeDevices", "devicePath"},
      {"hostAliases", "ip"},
      {"topologySpreadConstraints", "topologyKey"}};
  for (const auto& [name, key] : kKeys) {
    if (list == name) return key;
  }
  return nullptr;
}

bool directs(const Json& value, const char* directive) {
  if (!value.is_object()) return false;
  const auto it = value.find(kDirective);
  return it != value.end() && *it == directive;
}

Json merge_map(Json base, const Json& overlay);

// The item of `list` that has the same merge key as `item`; the end if either has none.
Json::iterator find_item(Json& list, const Json& item, const char* key) {
  if (!item.is_object() || !item.contains(key)) return list.end();
  return std::find_if(list.begin(), list.end(), [&](const Json& other) {
    return other.is_object() && other.contains(key) && other[key] == item[key];
  });
}

Json merge_list(Json base, const Json& overlay, const char* key) {
  const bool replace =
      std::any_of(overlay.begin(), overlay.end(), [](const Json& item) { return directs(item, "replace"); });
  if (replace || !base.is_array()) base = Json::array();
  for (const Json& item : overlay) {
    const auto known = find_item(base, item, key);
    if (directs(item, "replace")) {
      // A bare directive speaks of the list; with a merge key it is also the new item itself.
      if (item.size() > 1) base.push_back(merge_map(Json::object(), item));
    } else if (directs(item, "delete")) {
      if (known != base.end()) base.erase(known);
    } else if (known != base.end()) {
      *known = merge_map(std::move(*known), item);
    } else {
      base.push_back(item.is_object() ? merge_map(Json::object(), item) : item);
    }
  }
  return base;
}

// `overlay` is an object.
Json merge_map(Json base, const Json& overlay) {
  if (directs(overlay, "delete")) return Json::object();
  if (!base.is_object() || directs(overlay, "replace")) base = Json::object();
  for (const auto& [name, value] : overlay.items()) {
    if (name == kDirective) continue;
    const char* key = merge_key_of(name);
    if (value.is_null() || directs(value, "delete")) {
      base.erase(name);
    } else if (value.is_object()) {
      base[name] = merge_map(std::move(base[name]), value);
    } else if (value.is_array() && key != nullptr) {
      base[name] = merge_list(std::move(base[name]), value, key);
    } else {
      base[name] = value;
    }
  }
  return base;
}

}  // namespace

Json merge_pod_template(Json base, const Json& overlay) {
  if (overlay.is_null()) return base;
  return overlay.is_object() ? merge_map(std::move(base), overlay) : overlay;
}

}  // namespace mo
