#include "reconcilers/retraining/job.h"

#include <algorithm>

#include "reconcilers/common/names.h"
#include "reconcilers/serving/render.h"

namespace mo::retraining {
namespace {

Json environment(const api::Model& model, const api::RetrainingRun& run, const std::string& stable,
                 const Json& container) {
  const std::string result = container.value("terminationMessagePath", Json()).is_string()
                                 ? container["terminationMessagePath"].get<std::string>()
                                 : "/dev/termination-log";
  const std::pair<const char*, std::string> ours[] = {
      {"MODELOPS_MODEL", model.meta.key.name},
      {"MODELOPS_NAMESPACE", model.meta.key.ns},
      {"MODELOPS_VERSION", stable},
      {"MODELOPS_RUN_ID", run.name},
      {"MODELOPS_TRIGGER", run.trigger},
      {"MODELOPS_OUTPUT", model.meta.key.ns + "/" + model.meta.key.name + "/" + run.name},
      {"MODELOPS_RESULT", result},
  };
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

Result<Json> render_job(const api::Model& model, const api::RetrainingRun& run, const std::string& stable) {
  Result<Json> parsed = parse_json(model.retraining->job_template, 1 << 20);
  if (!parsed) return fail(parsed.error());
  Json job = serving::object_of(model, Kind::Job, run.name);
  if (parsed->contains("metadata") && (*parsed)["metadata"].is_object()) {
    merge_strings(job["metadata"]["labels"], (*parsed)["metadata"].value("labels", Json()));
    const Json annotations = (*parsed)["metadata"].value("annotations", Json());
    if (annotations.is_object() && !annotations.empty()) job["metadata"]["annotations"] = annotations;
  }
  job["spec"] = parsed->value("spec", Json::object());
  if (!job["spec"].is_object()) return job;
  Json& pods = object_at(job["spec"], "template");
  Json& labels = object_at(object_at(pods, "metadata"), "labels");
  // Not the Model's label: the Service selects by that during a canary, and training pods serve nobody.
  labels[api::kLabelManagedBy] = "model-operator";
  Json& spec = object_at(pods, "spec");
  if (!spec.contains("restartPolicy")) spec["restartPolicy"] = "Never";
  if (spec.contains("containers") && spec["containers"].is_array())
    for (Json& container : spec["containers"])
      if (container.is_object()) container["env"] = environment(model, run, stable, container);
  return job;
}

Json render_version(const api::Model& model, const api::RunResult& result, const api::RetrainingRun& run,
                    const api::Job& job, const std::string& stable) {
  Json version = serving::object_of(model, Kind::ModelVersion,
                                    version_name_for(model.meta.key.name, result.artifact.digest));
  Json lineage = Json::object();
  for (const char* field : {"code", "data", "environment"})
    if (result.lineage.contains(field)) lineage[field] = result.lineage[field];
  if (!lineage.contains("environment") && !job.image.empty()) lineage["environment"] = {{"image", job.image}};
  lineage["run"] = {{"kind", "Job"}, {"name", run.name}};
  for (const char* field : {"parameters", "seed"})
    if (result.lineage.contains(field)) lineage["run"][field] = result.lineage[field];
  if (!stable.empty()) lineage["parent"] = stable;
  const api::Artifact& a = result.artifact;
  Json format = {{"name", a.format.name}};
  if (!a.format.version.empty()) format["version"] = a.format.version;
  version["spec"] = {{"modelRef", {{"name", model.meta.key.name}}},
                     {"artifact", {{"uri", a.uri}, {"digest", a.digest}, {"format", std::move(format)}}},
                     {"lineage", std::move(lineage)},
                     {"metrics", result.metrics}};
  return version;
}

Json render_rollout(const api::Model& model, const std::string& name, const std::string& version,
                    const std::string& origin) {
  Json rollout = serving::object_of(model, Kind::ModelRollout, name);
  rollout["metadata"]["labels"][api::kLabelOrigin] = origin;
  rollout["spec"] = {{"modelRef", {{"name", model.meta.key.name}}}, {"version", version}};
  return rollout;
}

}  // namespace mo::retraining
