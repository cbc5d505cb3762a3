#include "reconcilers/retraining/job.h"

#include "reconcilers/common/job.h"
#include "reconcilers/common/names.h"
#include "reconcilers/serving/render.h"

namespace mo::retraining {

Result<Json> render_job(const api::Model& model, const api::RetrainingRun& run, const std::string& stable) {
  return mo::render_job(model, run.name, model.retraining->job_template, kTemplate,
                        {{"MODELOPS_MODEL", model.meta.key.name},
                         {"MODELOPS_NAMESPACE", model.meta.key.ns},
                         {"MODELOPS_VERSION", stable},
                         {"MODELOPS_RUN_ID", run.name},
                         {"MODELOPS_TRIGGER", run.trigger},
                         {"MODELOPS_OUTPUT", model.meta.key.ns + "/" + model.meta.key.name + "/" + run.name}});
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
  version["spec"] = {{"modelRef", {{"name", model.meta.key.name}}},
                     {"artifact", to_json(result.artifact)},
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
