#include "reconcilers/common/job.h"

#include <algorithm>

#include "operator/json/pod_template.h"
#include "reconcilers/common/object.h"

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
  if (theirs.is_array())
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

// So long may the Job controller take over a pod before anybody is told.
constexpr Duration kPodPatience = std::chrono::seconds(10);

}  // namespace

Result<Json> read_job(const RawJson& job_template, const std::string& where) {
  Result<Json> parsed = read_job_template(job_template, where);
  if (!parsed) return parsed;
  const std::string prefix = std::string(api::kGroup) + "/";
  std::string wrong = owned_metadata(parsed->value("metadata", Json()), where + ".metadata", prefix);
  const Json spec = parsed->value("spec", Json());
  const Json pods = spec.is_object() ? spec.value("template", Json()) : Json();
  if (wrong.empty() && pods.is_object())
    wrong = owned_metadata(pods.value("metadata", Json()), where + ".spec.template.metadata", prefix);
  if (!wrong.empty()) return fail(ErrorKind::Invalid, wrong);
  return parsed;
}

bool ended(const api::Job& job) { return job.complete || job.failed; }

JobTrouble trouble_of(const Observed& o, const api::Job& job, TimePoint now) {
  JobTrouble out;
  if (ended(job) || job.suspended || job.meta.deleting) return out;
  const std::string who = "Job " + job.meta.key.name;
  TimePoint since = std::max(job.meta.created, job.started.value_or(job.meta.created));
  bool begun = false, there = false;
  for (const auto& pod : o.job_pods) {
    if (pod->meta.controller_uid != job.meta.uid) continue;
    since = std::max(since, pod->meta.created);
    if (pod->ended) continue;
    there = true;
    begun |= pod->begun;
    if (!pod->problem.empty()) out.why = who + ": " + pod->problem;
  }
  if (begun || (!there && job.active > 0)) return out;  // an operator before this one made it, whose pods nobody knows
  out.waiting_since = since;
  if (there) return out;
  if (now >= since + kPodPatience)
    out.why = who + " has no pod, so none can be created (quota, admission, ServiceAccount); `kubectl describe job " +
              job.meta.key.name + "` tells why";
  else
    out.look_again = since + kPodPatience;
  return out;
}

Result<Json> render_job(const api::Model& model, const std::string& name, const RawJson& job_template,
                        const std::string& where, const Environment& environment) {
  Result<Json> parsed = read_job(job_template, where);
  if (!parsed) return parsed;
  Json job = object_of(model, Kind::Job, name);
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
  labels[api::kLabelJobOf] = model.meta.key.name;
  Json& spec = object_at(pods, "spec");
  if (!spec.contains("restartPolicy")) spec["restartPolicy"] = "Never";
  if (spec.contains("containers") && spec["containers"].is_array())
    for (Json& container : spec["containers"])
      if (container.is_object()) container["env"] = with_environment(environment, container);
  return job;
}

}  // namespace mo
