#include "reconcilers/common/job.h"

#include <algorithm>

#include "reconcilers/serving/render.h"

namespace mo {
namespace {

Json with_environment(Environment ours, const Json& container) {
  ours.emplace_back("MODELOPS_RESULT", container.value("terminationMessagePath", Json()).is_string()
                                           ? container["terminationMessagePath"].get<std::string>()
                                           : "/dev/termination-log");
  Json env = Json::array();
  const Json theirs = container.value("env", Json::array());
  for (const auto& [name, value] : ours) {
    const bool overridden =
        theirs.is_array() && std::any_of(theirs.begin(), theirs.end(), [&n = name](const Json& e) {
          return e.is_object() && e.value("name", Json()) == n;
        });
    if (!overridden) env.push_back({{"name", name}, {"value", value}});
  }
  if (!theirs.is_array()) return theirs;  // wrong as it is: the API server says so
  for (const Json& entry : theirs) env.push_back(entry);
  return env;
}

Json& object_at(Json& parent, const char* name) {
  Json& child = parent[name];
  if (!child.is_object()) child = Json::object();
  return child;
}

void merge_strings(Json& into, const Json& from) {
  if (!from.is_object()) return;
  for (const auto& [name, value] : from.items())
    if (!into.contains(name)) into[name] = value;
}

}  // namespace

Result<Json> render_job(const api::Model& model, const std::string& name, const RawJson& job_template,
                        const Environment& environment) {
  Result<Json> parsed = parse_json(job_template, 1 << 20);
  if (!parsed) return fail(parsed.error());
  Json job = serving::object_of(model, Kind::Job, name);
  if (parsed->contains("metadata") && (*parsed)["metadata"].is_object()) {
    merge_strings(job["metadata"]["labels"], (*parsed)["metadata"].value("labels", Json()));
    const Json annotations = (*parsed)["metadata"].value("annotations", Json());
    if (annotations.is_object() && !annotations.empty()) job["metadata"]["annotations"] = annotations;
  }
  job["spec"] = parsed->value("spec", Json::object());
  if (!job["spec"].is_object()) return job;
  Json& pods = object_at(job["spec"], "template");
  Json& labels = object_at(object_at(pods, "metadata"), "labels");
  // Not the Model's label: the Service selects by that during a canary, and the pods of Jobs serve nobody.
  labels[api::kLabelManagedBy] = "model-operator";
  Json& spec = object_at(pods, "spec");
  if (!spec.contains("restartPolicy")) spec["restartPolicy"] = "Never";
  if (spec.contains("containers") && spec["containers"].is_array())
    for (Json& container : spec["containers"])
      if (container.is_object()) container["env"] = with_environment(environment, container);
  return job;
}

}  // namespace mo
