#include "operator/json/pod_config.h"

#include "operator/json/pod_template.h"

namespace mo {
namespace {

// J is Json or const Json.
template <class J>
J* member(J& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(name);
  return it == object.end() ? nullptr : &*it;
}

template <class J, class F>
void each(J* list, const F& f) {
  if (list && list->is_array())
    for (J& item : *list) f(item);
}

template <class J, class F>
void visit(J* reference, const F& f) {
  if (!reference) return;
  const Json* name = member<J>(*reference, "name");
  if (name && name->is_string() && !name->template get_ref<const std::string&>().empty()) f(*reference);
}

template <class J, class F>
void visit_container(J& container, const F& f) {
  each(member(container, "envFrom"), [&](J& from) { visit(member(from, "configMapRef"), f); });
  each(member(container, "env"), [&](J& variable) {
    if (J* from = member(variable, "valueFrom")) visit(member(*from, "configMapKeyRef"), f);
  });
}

// `f` with each object that names a ConfigMap by `name`.
template <class J, class F>
void each_reference(J& pod_template, const F& f) {
  J* spec = member(pod_template, "spec");
  if (!spec) return;
  each(member(*spec, "volumes"), [&](J& volume) {
    visit(member(volume, "configMap"), f);
    if (J* projected = member(volume, "projected"))
      each(member(*projected, "sources"), [&](J& source) { visit(member(source, "configMap"), f); });
  });
  for (const char* containers : {"initContainers", "containers"})
    each(member(*spec, containers), [&](J& container) { visit_container(container, f); });
}

}  // namespace

std::map<std::string, bool> configs_of(const Json& pod_template) {
  std::map<std::string, bool> found;
  each_reference(pod_template, [&](const Json& reference) {
    const Json* optional = member(reference, "optional");
    const bool may_lack = optional && optional->is_boolean() && optional->get<bool>();
    const auto [it, fresh] = found.try_emplace(reference["name"].get<std::string>(), may_lack);
    if (!fresh) it->second = it->second && may_lack;
  });
  return found;
}

std::vector<std::string> configmaps_of(const std::string& pod_template) {
  std::vector<std::string> names;
  if (pod_template.find("onfigMap") == std::string::npos) return names;
  const auto parsed = parse_json(pod_template, kMaxTemplateBytes);
  if (!parsed) return names;
  for (const auto& [name, optional] : configs_of(*parsed)) names.push_back(name);
  return names;
}

void rename_configs(Json& pod_template, const std::map<std::string, std::string>& names) {
  each_reference(pod_template, [&](Json& reference) {
    const auto it = names.find(reference["name"].get_ref<const std::string&>());
    if (it != names.end()) reference["name"] = it->second;
  });
}

}  // namespace mo
