#include "plugin/stand_ins.h"

#include <set>
#include <string>

#include "plugin/fields.h"

namespace mo::plugin {
namespace {

Json object_of(Kind kind, const std::string& name, Json spec) {
  return {{"apiVersion", info(kind).api_version()},
          {"kind", info(kind).kind},
          {"metadata", {{"name", name}, {"uid", "unreadable-" + name}, {"resourceVersion", "1"}}},
          {"spec", std::move(spec)}};
}

Json runtime(const std::string& name, const std::set<Json>& formats) {
  return object_of(Kind::ModelRuntime, name,
                   {{"formats", formats},
                    {"template", {{"spec", {{"containers", {{{"name", "server"}, {"image", "unreadable"}}}}}}}}});
}

bool is_of_cluster(const Json& set) { return text(set, "kind") == info(Kind::ClusterModelGateSet).kind; }

void add_names(const Json& list, std::set<std::string>& names) {
  for (const Json& name : list)
    if (name.is_string()) names.insert(name.get<std::string>());
}

std::set<std::string> gates_named(const Json& model) {
  std::set<std::string> names;
  for (const Json& step : items(model, "spec.rollout.steps"))
    for (const char* part : {"gates", "background"}) add_names(items(step, part), names);
  add_names(items(model, "spec.rollout.bake.gates"), names);
  for (const char* part : {"gates", "validate.gates", "evaluate.gates", "retry.until"})
    add_names(items(model, std::string("spec.retraining.") + part), names);
  return names;
}

}  // namespace

bool needs(const Json& model, Kind kind) {
  if (kind == Kind::HttpRoute) return field(model, "spec.serving.route") != nullptr;
  if (kind != Kind::ClusterModelGateSet) return true;
  for (const char* list : {"spec.rollout.gateSets", "spec.monitorSets"}) {
    const Json& sets = items(model, list);
    if (std::any_of(sets.begin(), sets.end(), is_of_cluster)) return true;
  }
  return false;
}

std::vector<Json> stand_in_runtimes(const std::vector<Json>& models, const std::vector<Json>& versions) {
  std::set<Json> formats;
  for (const Json& version : versions)
    if (const Json* format = field(version, "spec.artifact.format")) formats.insert(*format);
  std::set<std::string> names = {"unreadable"};
  for (const Json& model : models) {
    if (const Json* format = field(model, "spec.artifact.format")) formats.insert(*format);
    if (const std::string name = text(model, "spec.serving.runtime.name"); !name.empty()) names.insert(name);
  }
  std::vector<Json> all;
  for (const std::string& name : names) all.push_back(runtime(name, formats));
  return all;
}

std::vector<Json> stand_in_gate_sets(const std::vector<Json>& models) {
  std::set<std::string> sets, names;
  for (const Json& model : models) {
    if (!needs(model, Kind::ClusterModelGateSet)) continue;
    for (const char* list : {"spec.rollout.gateSets", "spec.monitorSets"})
      for (const Json& set : items(model, list))
        if (is_of_cluster(set)) sets.insert(text(set, "name"));
    names.merge(gates_named(model));
  }
  Json gates = Json::array();
  for (const std::string& name : names)
    gates.push_back({{"name", name}, {"version", {{"metric", "unreadable"}}}, {"min", "0"}});
  std::vector<Json> all;
  for (const std::string& name : sets) all.push_back(object_of(Kind::ClusterModelGateSet, name, {{"gates", gates}}));
  return all;
}

}  // namespace mo::plugin
