#include "reconcilers/training/job.h"

#include <algorithm>

#include "operator/api/statuses.h"
#include "reconcilers/common/job.h"
#include "reconcilers/common/names.h"
#include "reconcilers/training/workload.h"

namespace mo::training {
namespace {

// After what the operator says, so that it can be told apart; a template that names one itself keeps it.
void add_variable(Json& container, const std::string& name, const std::string& value) {
  Json& env = container["env"];
  if (!env.is_array()) env = Json::array();
  const bool there = std::any_of(env.begin(), env.end(), [&](const Json& e) { return e.is_object() && e.value("name", Json()) == name; });
  if (!there) env.push_back({{"name", name}, {"value", value}});
}

}  // namespace

Json owned_by(const api::TrainingRun& run) {
  return Json::array({{{"apiVersion", api::kApiVersion},
                       {"kind", "TrainingRun"},
                       {"name", run.meta.key.name},
                       {"uid", run.meta.uid},
                       {"controller", true},
                       {"blockOwnerDeletion", true}}});
}

Environment environment_of(const api::Model& model, const api::TrainingRun& run, const StageJob& part, const std::string& stable) {
  const ObjectKey& key = model.meta.key;
  Environment env = {{"MODELOPS_MODEL", key.name},
                     {"MODELOPS_NAMESPACE", key.ns},
                     {"MODELOPS_VERSION", stable},
                     {"MODELOPS_RUN_ID", run.meta.key.name},
                     {"MODELOPS_TRIGGER", run.trigger},
                     {"MODELOPS_STAGE", part.stage},
                     {"MODELOPS_TRIAL", std::to_string(part.trial)},
                     {"MODELOPS_ATTEMPT", std::to_string(run.status.attempt)},
                     {"MODELOPS_SEED", std::to_string(run.status.seed)},
                     {"MODELOPS_OUTPUT", key.ns + "/" + key.name + "/" + part.name}};
  for (const auto& [name, value] : part.parameters) env.emplace_back(parameter_variable(name), value);
  return env;
}

std::string parameter_variable(const std::string& name) {
  std::string variable = "MODELOPS_PARAM_" + name;
  for (char& c : variable) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return variable;
}

Result<Json> render_job(const api::Model& model, const api::TrainingRun& run, const StageJob& part, const std::string& stable) {
  const api::Retraining& spec = *model.retraining;
  const bool validates = part.stage == "validate", evaluates = part.stage == "evaluate";
  const RawJson& job_template = !part.job_template.empty() ? part.job_template : validates ? spec.validate->job_template : evaluates ? spec.evaluate->job_template : spec.job_template;
  Result<Json> job = mo::render_job(model, part.name, job_template, validates ? kValidateTemplate : evaluates ? kEvaluateTemplate : kTemplate,
                                    environment_of(model, run, part, stable));
  if (!job) return job;
  (*job)["metadata"]["ownerReferences"] = owned_by(run);
  if (!spec.kueue.empty() && (*job)["spec"].is_object()) {
    (*job)["metadata"]["labels"][kQueueLabel] = spec.kueue;
    (*job)["spec"]["suspend"] = true;
  }
  return job;
}

Result<void> mount_artifacts(Json& job, const api::Artifact& candidate, const api::ModelVersion* champion, const serving::Settings& settings) {
  const Json::json_pointer at("/spec/template/spec");
  if (!job.contains(at) || !job[at].is_object()) return {};  // the API server says what is wrong with it
  Json& pods = job[at];
  std::vector<std::pair<std::string, std::string>> variables = {{"MODELOPS_CHAMPION_PATH", ""}, {"MODELOPS_CHAMPION_FORMAT", ""}};
  const auto mount = [&](const api::Artifact& artifact, const std::vector<api::Part>& parts, const std::string& role,
                         const std::string& prefix) -> Result<void> {
    const Result<serving::Mounted> mounted = serving::mount_artifact(pods, artifact, parts, role, settings);
    if (!mounted) return fail(mounted.error());
    std::erase_if(variables, [&](const auto& v) { return v.first.starts_with(prefix); });
    variables.emplace_back(prefix + "_PATH", mounted->path);
    variables.emplace_back(prefix + "_FORMAT", artifact.format.name);
    for (const auto& [name, path] : mounted->parts) variables.emplace_back(prefix + name.substr(std::string_view("MODEL").size()), path);
    return {};
  };
  if (const auto done = mount(candidate, {}, "candidate", "MODELOPS_CANDIDATE"); !done) return done;
  if (champion)
    if (const auto done = mount(champion->artifact, champion->parts, "champion", "MODELOPS_CHAMPION"); !done) return done;
  if (pods.contains("containers") && pods["containers"].is_array())
    for (Json& container : pods["containers"])
      if (container.is_object())
        for (const auto& [name, value] : variables) add_variable(container, name, value);
  return {};
}

Json render_run(const api::Model& model, const api::RetrainingRun& run, const std::string& kind, const Parameters& parameters) {
  Json object = object_of(model, Kind::TrainingRun, run.name);
  object["metadata"]["annotations"][api::kAnnotationChangedBy] = api::kOperatorAuthor;
  object["spec"] = {{"modelRef", {{"name", model.meta.key.name}}},
                    {"trigger", {{"name", run.trigger}, {"kind", kind}}},
                    {"onSuccess", model.retraining->on_success == api::Retraining::OnSuccess::Rollout ? "Rollout" : "Register"}};
  if (!parameters.empty()) object["spec"]["parameters"] = parameters;
  if (model.retraining->workload && kind != "Registry") object["spec"]["workload"] = kind_named(*model.retraining->workload);
  return object;
}

Json render_version(const api::Model& model, const api::TrainingRun& run, const std::map<std::string, std::string>& figures,
                    const std::string& stable) {
  const api::TrainedResult& result = *run.status.result;
  Json version = object_of(model, Kind::ModelVersion,
                                    version_name_for(model.meta.key.name, result.artifact.digest));
  const Json reported = parse_json(result.lineage, 1 << 20).value_or(Json::object());
  Json lineage = Json::object();
  for (const char* field : {"code", "data", "environment"})
    if (reported.contains(field)) lineage[field] = reported[field];
  if (!lineage.contains("environment") && !result.image.empty()) lineage["environment"] = {{"image", result.image}};
  lineage["run"] = {{"kind", "TrainingRun"}, {"name", run.meta.key.name}, {"seed", std::to_string(run.status.seed)}};
  // What the Job says that it used, and what it was told beside that.
  Json parameters = reported.value("parameters", Json::object());
  for (const api::TrialStatus& trial : run.status.trials)
    if (trial.attempt == run.status.attempt && trial.index == result.trial)
      for (const auto& [name, value] : trial.parameters)
        if (!parameters.contains(name)) parameters[name] = value;
  if (!parameters.empty()) lineage["run"]["parameters"] = std::move(parameters);
  if (reported.contains("seed")) lineage["run"]["seed"] = reported["seed"];
  if (!stable.empty()) lineage["parent"] = stable;
  if (!run.changed_by.empty()) version["metadata"]["annotations"][api::kAnnotationChangedBy] = run.changed_by;
  version["spec"] = {{"modelRef", {{"name", model.meta.key.name}}},
                     {"artifact", to_json(result.artifact)},
                     {"lineage", std::move(lineage)},
                     {"metrics", figures}};
  return version;
}

Json render_rollout(const api::Model& model, const std::string& name, const std::string& version,
                    const std::string& origin) {
  Json rollout = object_of(model, Kind::ModelRollout, name);
  rollout["metadata"]["labels"][api::kLabelOrigin] = origin;
  rollout["spec"] = {{"modelRef", {{"name", model.meta.key.name}}}, {"version", version}};
  return rollout;
}

}  // namespace mo::training
