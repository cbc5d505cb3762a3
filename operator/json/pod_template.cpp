#include "operator/json/pod_template.h"

#include <stdexcept>

#include "operator/core/text.h"

namespace mo {
namespace {

constexpr size_t kLongestMessage = 1024;  // keys may be as long as a template

// Where a value is; lives on the stack of the walk and becomes text only when something is wrong.
struct Place {
  const Place* above = nullptr;
  std::string_view name;
  size_t index = 0;

  explicit Place(const std::string& root) : name(root) {}
  Place(const Place& parent, std::string_view field) : above(&parent), name(field) {}
  Place(const Place& parent, size_t item) : above(&parent), index(item) {}
  std::string text() const {
    if (!above) return std::string(name);
    if (!name.empty()) return above->text() + "." + std::string(name);
    return above->text() + "[" + std::to_string(index) + "]";
  }
};

struct Wrong : std::runtime_error {
  Wrong(const Place& at, const std::string& what) : std::runtime_error(at.text() + what) {}
};

std::string kind_of(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null: return "null";
    case Json::value_t::object: return "an object";
    case Json::value_t::array: return "a list";
    case Json::value_t::string: return "a text";
    case Json::value_t::boolean: return "a boolean";
    default: return "a number";
  }
}

class Walk {
 public:
  explicit Walk(TemplateRole role) : role_(role) {}

  void pod_template(const Json& value, const Place& at) {
    bounded(value, at);
    if (!value.is_object()) throw Wrong(at, " must be an object (a PodTemplateSpec), it is " + kind_of(value));
    if (const Json* metadata = object(value, "metadata", at)) {
      const Place here(at, "metadata");
      texts(*metadata, "labels", here);
      texts(*metadata, "annotations", here);
    }
    if (const Json* spec = object(value, "spec", at)) pod_spec(*spec, Place(at, "spec"));
  }

  void job_template(const Json& value, const Place& at) {
    bounded(value, at);
    if (!value.is_object()) throw Wrong(at, " must be an object (a JobTemplateSpec), it is " + kind_of(value));
    if (const Json* metadata = object(value, "metadata", at)) {
      const Place here(at, "metadata");
      texts(*metadata, "labels", here);
      texts(*metadata, "annotations", here);
    }
    const Json* spec = object(value, "spec", at);
    if (!spec) return;
    const Place here(at, "spec");
    if (const Json* pods = object(*spec, "template", here)) pod_template(*pods, Place(here, "template"));
  }

 private:
  void pod_spec(const Json& spec, const Place& at) {
    const auto with_containers = [this](const Json& one, const Place& here) { container(one, here); };
    list(spec, "containers", "name", at, with_containers);
    list(spec, "initContainers", "name", at, with_containers);
    list(spec, "volumes", "name", at);
    list(spec, "imagePullSecrets", "name", at);
    list(spec, "resourceClaims", "name", at);
    list(spec, "schedulingGates", "name", at);
    list(spec, "hostAliases", "ip", at);
    list(spec, "topologySpreadConstraints", "topologyKey", at);
    object(spec, "securityContext", at);
  }

  void container(const Json& one, const Place& at) {
    list(one, "env", "name", at);
    list(one, "volumeMounts", "mountPath", at, [](const Json& mount, const Place& here) {
      const auto volume = mount.find("name");
      if (volume != mount.end() && !volume->is_string() && !volume->is_null())
        throw Wrong(Place(here, "name"), " must be a text, it is " + kind_of(*volume));
    });
    list(one, "volumeDevices", "devicePath", at);
    list(one, "ports", "containerPort", at);
    object(one, "lifecycle", at);
  }

  // Null where there is none; as for the API server, a null is none.
  const Json* object(const Json& parent, const char* name, const Place& at) const {
    const auto it = parent.find(name);
    if (it == parent.end() || it->is_null()) return nullptr;
    if (!it->is_object()) throw Wrong(Place(at, name), " must be an object, it is " + kind_of(*it));
    return &*it;
  }

  void texts(const Json& parent, const char* name, const Place& at) const {
    const Json* map = object(parent, name, at);
    if (!map) return;
    const Place here(at, name);
    for (const auto& [key, value] : map->items())
      if (!value.is_string() && !value.is_null())
        throw Wrong(here, "[" + key + "] must be a text, it is " + kind_of(value) + "; put it into quotes");
  }

  using Each = void (*)(const Json&, const Place&);
  template <class F = Each>
  void list(const Json& parent, const char* name, const char* key, const Place& at, const F& each = [](const Json&, const Place&) {}) {
    const auto it = parent.find(name);
    if (it == parent.end() || it->is_null()) return;
    const Place here(at, name);
    const bool deleted = role_ == TemplateRole::Overlay && it->is_object() && it->value("$patch", Json()) == "delete";
    if (deleted) return;
    if (!it->is_array()) throw Wrong(here, " must be a list, it is " + kind_of(*it));
    for (size_t i = 0; i < it->size(); ++i) {
      const Json& item = (*it)[i];
      const Place place(here, i);
      if (!item.is_object())
        throw Wrong(place, " must be an object with the field " + std::string(key) + ", it is " + kind_of(item));
      const bool speaks_of_the_list = role_ == TemplateRole::Overlay && item.size() == 1 && item.value("$patch", Json()) == "replace";
      if (speaks_of_the_list) continue;
      check_key(item, key, place);
      each(item, place);
    }
  }

  static void check_key(const Json& item, const char* key, const Place& at) {
    const auto found = item.find(key);
    if (found == item.end() || found->is_null())
      throw Wrong(at, " has no " + std::string(key) + "; give it one, or remove the entry");
    const bool number = std::string_view(key) == "containerPort";
    if (number && !found->is_number_integer())
      throw Wrong(Place(at, key), " must be an integer, it is " + kind_of(*found));
    if (!number && (!found->is_string() || found->get_ref<const std::string&>().empty()))
      throw Wrong(Place(at, key), " must be a non-empty string, it is " + (found->is_string() ? "empty" : kind_of(*found)));
  }

  // The whole, once: the lists of a pod template inside of a Job's are in it.
  void bounded(const Json& value, const Place& at) {
    if (bounded_) return;
    bounded_ = true;
    walk(value, at);
  }

  void walk(const Json& value, const Place& at) const {
    if (value.is_array()) {
      if (value.size() > kMaxTemplateEntries)
        throw Wrong(at, " has " + std::to_string(value.size()) + " entries; at most " + std::to_string(kMaxTemplateEntries) + " are allowed");
      for (size_t i = 0; i < value.size(); ++i) walk(value[i], Place(at, i));
    } else if (value.is_object()) {
      for (auto it = value.begin(); it != value.end(); ++it) {
        if (role_ == TemplateRole::Whole && it.key() == "$patch")
          throw Wrong(at, " has the directive $patch, which only a Model's spec.serving.template may have; remove it");
        walk(*it, Place(at, it.key()));
      }
    }
  }

  TemplateRole role_;
  bool bounded_ = false;
};

template <class Check>
Result<Json> read(std::string_view text, const std::string& where, const Check& check) {
  if (text.size() > kMaxTemplateBytes)
    return fail(ErrorKind::Invalid, where + " has " + std::to_string(text.size()) + " bytes as JSON; at most " +
                                        std::to_string(kMaxTemplateBytes) + " are allowed: move configuration into ConfigMaps");
  Result<Json> value = parse_json(text.empty() ? "{}" : text, kMaxTemplateBytes);
  if (!value) return fail(ErrorKind::Invalid, where + " cannot be read: " + value.error().message);
  try {
    check(*value);
  } catch (const Wrong& wrong) {
    return fail(ErrorKind::Invalid, whole_characters(wrong.what(), kLongestMessage));
  }
  return value;
}

}  // namespace

Result<Json> read_pod_template(std::string_view text, const std::string& where, TemplateRole role) {
  return read(text, where, [&](const Json& value) { Walk(role).pod_template(value, Place(where)); });
}

Result<Json> read_job_template(std::string_view text, const std::string& where) {
  return read(text, where, [&](const Json& value) { Walk(TemplateRole::Whole).job_template(value, Place(where)); });
}

std::string owned_metadata(const Json& metadata, const std::string& where, std::string_view prefix) {
  if (!metadata.is_object()) return "";
  for (const char* map : {"labels", "annotations"}) {
    const auto found = metadata.find(map);
    if (found == metadata.end() || !found->is_object()) continue;
    const auto first = found->get_ref<const Json::object_t&>().lower_bound(std::string(prefix));
    if (first != found->get_ref<const Json::object_t&>().end() && first->first.starts_with(prefix))
      return where + "." + map + "[" + whole_characters(first->first, kLongestMessage) + "] is the operator's, as all " + map + " under " + std::string(prefix) +
             " are; remove it";
  }
  return "";
}

}  // namespace mo
