#include "operator/json/strategic_merge.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

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

// The items of a list by their merge keys, so that merging takes one look at each. Items without a key are in it by none.
class Index {
 public:
  Index(Json& list, const char* key) : key_(key) {
    for (size_t i = 0; i < list.size(); ++i) add(list[i], i);
  }
  void add(const Json& item, size_t at) {
    if (const Json* key = key_of(item)) places_[key->dump()].push_back(at);
  }
  // Where the items of `item`'s key are, the first one first; null if there are none.
  std::vector<size_t>* find(const Json& item) {
    const Json* key = key_of(item);
    const auto it = key ? places_.find(key->dump()) : places_.end();
    return it == places_.end() || it->second.empty() ? nullptr : &it->second;
  }

 private:
  const Json* key_of(const Json& item) const {
    if (!item.is_object()) return nullptr;
    const auto it = item.find(key_);
    return it == item.end() ? nullptr : &*it;
  }

  const char* key_;
  std::unordered_map<std::string, std::vector<size_t>> places_;
};

Json merge_list(Json base, const Json& overlay, const char* key) {
  const bool replace =
      std::any_of(overlay.begin(), overlay.end(), [](const Json& item) { return directs(item, "replace"); });
  if (replace || !base.is_array()) base = Json::array();
  Index index(base, key);
  std::vector<bool> gone(base.size());
  const auto append = [&](Json item) {
    index.add(item, base.size());
    base.push_back(std::move(item));
    gone.push_back(false);
  };
  for (const Json& item : overlay) {
    const auto known = index.find(item);
    if (directs(item, "replace")) {
      // A bare directive speaks of the list; with a merge key it is also the new item itself.
      if (item.size() > 1) append(merge_map(Json::object(), item));
    } else if (directs(item, "delete")) {
      if (!known) continue;
      for (const size_t place : *known) gone[place] = true;
      known->clear();
    } else if (known) {
      Json& place = base[known->front()];
      place = merge_map(std::move(place), item);
    } else {
      append(item.is_object() ? merge_map(Json::object(), item) : item);
    }
  }
  size_t kept = 0;
  for (size_t i = 0; i < base.size(); ++i)
    if (!gone[i] && kept++ != i) base[kept - 1] = std::move(base[i]);
  base.get_ref<Json::array_t&>().resize(kept);
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
