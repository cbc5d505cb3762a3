// Models, ModelVersions and ModelRuntimes. Each table below is one object of the CRDs, its names in their order.
#include "operator/api/parse.h"
#include "operator/api/readers.h"
#include "operator/json/pod_config.h"

namespace mo::api {

namespace read {

// ---- shared ----

constexpr Field<Condition> kCondition[] = {
    {"type", member<&Condition::type>},
    {"status", member<&Condition::status>},
    {"reason", member<&Condition::reason>},
    {"message", member<&Condition::message>},
    {"lastTransitionTime", member<&Condition::last_transition>},
    {"observedGeneration", member<&Condition::observed_generation>},
};
bool read(value& v, Condition& out, const Path& at) { return read_object(v, out, kCondition, at); }

constexpr Field<Format> kFormat[] = {{"name", member<&Format::name>}, {"version", member<&Format::version>}};
bool read(value& v, Format& out, const Path& at) { return read_object(v, out, kFormat, at); }

constexpr Field<Artifact> kCredentials[] = {{"secretName", member<&Artifact::secret>}};
constexpr Field<Artifact> kSignature[] = {{"uri", member<&Artifact::signature_uri>}, {"publicKey", member<&Artifact::public_key>}};
constexpr Field<Artifact> kArtifact[] = {{"uri", member<&Artifact::uri>},
                                         {"digest", member<&Artifact::digest>},
                                         {"format", member<&Artifact::format>},
                                         {"size", member<&Artifact::size>},
                                         {"unpack", member<&Artifact::unpack>},
                                         {"credentials", into<kCredentials>},
                                         {"signature", into<kSignature>}};
bool read(value& v, Artifact& out, const Path& at) { return read_object(v, out, kArtifact, at); }

constexpr Field<Artifact> kPartArtifact[] = {{"uri", member<&Artifact::uri>},
                                             {"digest", member<&Artifact::digest>},
                                             {"size", member<&Artifact::size>},
                                             {"unpack", member<&Artifact::unpack>},
                                             {"credentials", into<kCredentials>},
                                             {"signature", into<kSignature>}};
constexpr Field<Part> kPart[] = {
    {"name", member<&Part::name>},
    {"path", member<&Part::path>},
    {"artifact", [](value& v, Part& out, const Path& at) { read_object(v, out.artifact, kPartArtifact, at); }}};
bool read(value& v, Part& out, const Path& at) {
  if (!read_object(v, out, kPart, at)) return false;
  if (out.path.empty()) out.path = out.name;
  return true;
}
// In the order of their names, so that the order in which people write them changes nothing.
template <class T>
void read_parts(value& v, T& out, const Path& at) {
  read(v, out.parts, at);
  std::stable_sort(out.parts.begin(), out.parts.end(), [](const Part& a, const Part& b) { return a.name < b.name; });
}

// ---- Model.spec ----

constexpr Field<Model> kRuntimeRef[] = {{"name", member<&Model::runtime>}};
constexpr Field<FilterRef> kFilterRef[] = {{"group", member<&FilterRef::group>}, {"kind", member<&FilterRef::kind>}, {"name", member<&FilterRef::name>}};
bool read(value& v, FilterRef& out, const Path& at) { return read_object(v, out, kFilterRef, at); }
constexpr Field<Model::Route> kRetired[] = {{"extensionRef", member<&Model::Route::retired>}};
constexpr Field<Model::Route> kRoute[] = {{"parentRefs", raw_member<&Model::Route::parent_refs>},
                                          {"hostnames", member<&Model::Route::hostnames>},
                                          {"sessionPersistence", raw_member<&Model::Route::session_persistence>},
                                          {"retired", into<kRetired>}};
bool read(value& v, Model::Route& out, const Path& at) { return read_object(v, out, kRoute, at); }
constexpr Field<Model::Autoscaling> kAutoscaling[] = {{"minReplicas", member<&Model::Autoscaling::min>},
                                                      {"maxReplicas", member<&Model::Autoscaling::max>},
                                                      {"metrics", raw_member<&Model::Autoscaling::metrics>},
                                                      {"behavior", raw_member<&Model::Autoscaling::behavior>}};
bool read(value& v, Model::Autoscaling& out, const Path& at) { return read_object(v, out, kAutoscaling, at); }
constexpr Field<Model> kAdopt[] = {{"name", member<&Model::adopt>}};
constexpr Words<bool> kOciArtifacts[] = {{"Fetch", false}, {"ImageVolume", true}};
constexpr Field<Model> kServing[] = {{"runtime", into<kRuntimeRef>},
                                     {"route", member<&Model::route>},
                                     {"adopt", into<kAdopt>},
                                     {"replicas", member<&Model::replicas>},
                                     {"autoscaling", member<&Model::autoscaling>},
                                     {"maxSurge", member<&Model::max_surge>},
                                     {"pinConfig", member<&Model::pin_config>},
                                     {"ociArtifacts", word<&Model::image_volumes, kOciArtifacts>},
                                     {"template", raw_member<&Model::template_overlay>}};
constexpr Field<Model::History> kHistory[] = {{"rollouts", member<&Model::History::rollouts>},
                                              {"versions", member<&Model::History::versions>},
                                              {"runs", member<&Model::History::runs>}};
bool read(value& v, Model::History& out, const Path& at) { return read_object(v, out, kHistory, at); }
// Whether a text is there, for what policies ask of a Model.
template <class T, bool T::*Member>
void said(value& v, T& out, const Path& at) {
  std::string text;
  if (read(v, text, at)) out.*Member = !text.empty();
}
void read_class(value& v, Model& out, const Path& at) { read(v, out.about.model_class, at); }
void read_tier(value& v, Model& out, const Path& at) { read(v, out.about.risk_tier, at); }
void read_description(value& v, Model& out, const Path& at) { said<About, &About::description>(v, out.about, at); }
constexpr Field<About> kAboutCard[] = {{"intendedUse", said<About, &About::intended_use>},
                                       {"outOfScope", said<About, &About::out_of_scope>},
                                       {"limitations", said<About, &About::limitations>},
                                       {"ethicalConsiderations", said<About, &About::ethical_considerations>},
                                       {"businessOwner", said<About, &About::business_owner>},
                                       {"businessValue", said<About, &About::business_value>}};
constexpr Field<About> kAboutOwner[] = {{"team", said<About, &About::team>}, {"contact", said<About, &About::contact>}};
void read_owner(value& v, Model& out, const Path& at) { read_object(v, out.about, kAboutOwner, at); }
void read_card(value& v, Model& out, const Path& at) { read_object(v, out.about, kAboutCard, at); }

constexpr Field<Model> kModelSpec[] = {
    {"class", read_class},
    {"description", read_description},
    {"owner", read_owner},
    {"card", read_card},
    {"riskTier", read_tier},
    {"operatorClass", member<&Model::operator_class>},
    {"track", member<&Model::track>},       {"version", member<&Model::version>},
    {"artifact", member<&Model::artifact>}, {"parts", read_parts<Model>},
    {"serving", into<kServing>},
    {"rollout", member<&Model::rollout>},   {"retraining", member<&Model::retraining>},
    {"monitors", member<&Model::monitors>}, {"monitorSets", member<&Model::monitor_sets>},
    {"history", member<&Model::history>},   {"lifecycle", member<&Model::lifecycle>},
};

// ---- Model.status ----

constexpr Field<Revision> kRevision[] = {
    {"name", member<&Revision::name>},   {"deployment", member<&Revision::deployment>},
    {"unlabelled", member<&Revision::unlabelled>}, {"unpinned", member<&Revision::unpinned>}, {"asked", member<&Revision::asked>},
    {"template", raw_member<&Revision::pod_template>},
};
// Without the name of its Deployment, of a status that somebody else wrote, it is none.
bool read(value& v, Revision& out, const Path& at) {
  return read_object(v, out, kRevision, at) && !out.deployment.empty();
}
constexpr Field<Served> kServed[] = {
    {"version", member<&Served::version>}, {"digest", member<&Served::digest>}, {"revision", member<&Served::revision>}};
bool read(value& v, Served& out, const Path& at) {
  return read_object(v, out, kServed, at) && !out.version.empty() && !out.revision.deployment.empty();
}

constexpr Field<Pinned> kPinned[] = {{"uri", member<&Pinned::uri>}, {"digest", member<&Pinned::digest>}};
bool read(value& v, Pinned& out, const Path& at) { return read_object(v, out, kPinned, at) && !out.digest.empty(); }

constexpr Field<TrafficShare> kTrafficShare[] = {{"version", member<&TrafficShare::version>},
                                                 {"revision", member<&TrafficShare::revision>},
                                                 {"weight", member<&TrafficShare::weight>}};
bool read(value& v, TrafficShare& out, const Path& at) { return read_object(v, out, kTrafficShare, at); }

constexpr Field<ModelStatus> kSpecIntent[] = {{"version", member<&ModelStatus::spec_version>},
                                              {"revision", member<&ModelStatus::spec_revision>},
                                              {"generation", member<&ModelStatus::spec_generation>},
                                              {"authors", member<&ModelStatus::spec_authors>}};

constexpr Field<Intent> kIntent[] = {
    {"version", member<&Intent::version>}, {"origin", member<&Intent::origin>},
    {"rollout", member<&Intent::rollout>}, {"outcome", member<&Intent::outcome>},
    {"reason", member<&Intent::reason>},   {"message", member<&Intent::message>},
    {"since", member<&Intent::since>},     {"rolloutUID", member<&Intent::rollout_uid>},
    {"revision", member<&Intent::revision>},
};
bool read(value& v, Intent& out, const Path& at) { return read_object(v, out, kIntent, at); }

constexpr Field<RetrainingRun> kRun[] = {
    {"number", member<&RetrainingRun::number>},   {"name", member<&RetrainingRun::name>},
    {"trigger", member<&RetrainingRun::trigger>}, {"startedAt", member<&RetrainingRun::started>},
    {"uid", member<&RetrainingRun::uid>},         {"job", member<&RetrainingRun::job>},
    {"jobUID", member<&RetrainingRun::job_uid>},
};
// A run without a name, of a status that somebody else wrote, is none: there is no Job to look for.
bool read(value& v, RetrainingRun& out, const Path& at) {
  return read_object(v, out, kRun, at) && !out.name.empty();
}

struct DatasetDigest {
  std::string trigger, digest;
};
constexpr Field<DatasetDigest> kDatasetDigest[] = {{"trigger", member<&DatasetDigest::trigger>},
                                                   {"digest", member<&DatasetDigest::digest>}};
void read_datasets(value& v, RetrainingStatus& out, const Path& at) {
  each_item(v, at, [&](value& item, const Path& here) {
    DatasetDigest found;
    if (read_object(item, found, kDatasetDigest, here)) out.datasets[found.trigger] = found.digest;
  });
}

constexpr Field<RetrainingStatus> kRetrainingStatus[] = {
    {"lastTrigger", member<&RetrainingStatus::last_trigger>},
    {"lastRun", member<&RetrainingStatus::last_run>},
    {"lastResult", member<&RetrainingStatus::last_result>},
    {"nextScheduled", member<&RetrainingStatus::next_scheduled>},
    {"lastRetrained", member<&RetrainingStatus::last_retrained>},
    {"runsToday", member<&RetrainingStatus::runs_today>},
    {"day", member<&RetrainingStatus::day>},
    {"jobSecondsToday", member<&RetrainingStatus::job_seconds_today>},
    {"suppressed", member<&RetrainingStatus::suppressed>},
    {"runNumber", member<&RetrainingStatus::run_number>},
    {"run", member<&RetrainingStatus::run>},
    {"lastStarted", member<&RetrainingStatus::last_started>},
    {"lastFinished", member<&RetrainingStatus::last_finished>},
    {"observedRequest", member<&RetrainingStatus::observed_request>},
    {"scheduleChecked", member<&RetrainingStatus::schedule_checked>},
    {"schedules", member<&RetrainingStatus::schedules>},
    {"datasets", read_datasets},
    {"mirror", member<&RetrainingStatus::mirror>},
};
bool read(value& v, RetrainingStatus& out, const Path& at) {
  return read_object(v, out, kRetrainingStatus, at);
}

constexpr Words<MonitorStatus::State> kMonitorStates[] = {{"NoData", MonitorStatus::State::NoData},
                                                          {"OK", MonitorStatus::State::Ok},
                                                          {"Pending", MonitorStatus::State::Pending},
                                                          {"Breached", MonitorStatus::State::Breached}};
constexpr Field<MonitorStatus> kMonitorStatus[] = {
    {"name", member<&MonitorStatus::name>},
    {"state", word<&MonitorStatus::state, kMonitorStates>},
    {"value", member<&MonitorStatus::value>},
    {"version", member<&MonitorStatus::version>},
    {"message", member<&MonitorStatus::message>},
    {"since", member<&MonitorStatus::since>},
    {"lastChecked", member<&MonitorStatus::last_checked>},
    {"goodSince", member<&MonitorStatus::good_since>},
    {"attempts", member<&MonitorStatus::attempts>},
    {"rollback", member<&MonitorStatus::rollback>},
    {"rollbackMade", member<&MonitorStatus::rollback_made>},
    {"job", member<&MonitorStatus::job>},
    {"jobStartedAt", member<&MonitorStatus::job_started>},
    {"jobDone", member<&MonitorStatus::job_done>},
    {"policy", member<&MonitorStatus::policy>},
    {"set", member<&MonitorStatus::set>},
};
bool read(value& v, MonitorStatus& out, const Path& at) { return read_object(v, out, kMonitorStatus, at); }

constexpr Field<Adopted> kAdopted[] = {
    {"deployment", member<&Adopted::deployment>}, {"deploymentUID", member<&Adopted::deployment_uid>},
    {"replicas", member<&Adopted::replicas>},     {"serviceUID", member<&Adopted::service_uid>},
    {"service", raw_member<&Adopted::service>},   {"phase", member<&Adopted::phase>},
    {"since", member<&Adopted::since>},
};
bool read(value& v, Adopted& out, const Path& at) {
  return read_object(v, out, kAdopted, at) && !out.deployment_uid.empty();
}

constexpr Field<ModelStatus> kModelStatus[] = {
    {"observedGeneration", member<&ModelStatus::observed_generation>},
    {"phase", member<&ModelStatus::phase>},
    {"message", member<&ModelStatus::message>},
    {"conditions", member<&ModelStatus::conditions>},
    {"stableVersion", member<&ModelStatus::stable_version>},
    {"stableDigest", member<&ModelStatus::stable_digest>},
    {"pinned", member<&ModelStatus::pinned>},
    {"stableRevision", member<&ModelStatus::stable_revision>},
    {"previous", member<&ModelStatus::previous>},
    {"candidateVersion", member<&ModelStatus::candidate_version>},
    {"rollout", member<&ModelStatus::rollout>},
    {"traffic", member<&ModelStatus::traffic>},
    {"warmVersions", member<&ModelStatus::warm>},
    {"spec", into<kSpecIntent>},
    {"intent", member<&ModelStatus::intent>},
    {"retraining", member<&ModelStatus::retraining>},
    {"monitors", member<&ModelStatus::monitors>},
    {"adopted", member<&ModelStatus::adopted>},
    {"lifecycle", member<&ModelStatus::lifecycle>},
    {"audit", member<&ModelStatus::audit>},
    {"operator", member<&ModelStatus::handled_by>},
};
bool read(value& v, ModelStatus& out, const Path& at) {
  return read_object_and_raw(v, out, out.raw, kModelStatus, at);
}

// ---- ModelVersion ----

constexpr Field<ModelVersion> kVersionModel[] = {{"name", member<&ModelVersion::model>}};
void read_code(value& v, ModelVersion& out, const Path& at) {
  static constexpr Field<LineageFacts> kCode[] = {{"repository", said<LineageFacts, &LineageFacts::code_repository>},
                                                  {"revision", said<LineageFacts, &LineageFacts::code_revision>}};
  read_object(v, out.lineage, kCode, at);
}
struct DataSet {
  std::string digest;
};
void read_data(value& v, ModelVersion& out, const Path& at) {
  static constexpr Field<DataSet> kDataSet[] = {{"digest", member<&DataSet::digest>}};
  each_item(v, at, [&](value& item, const Path& here) {
    DataSet one;
    if (!read_object(item, one, kDataSet, here)) return;
    ++out.lineage.data_sets;
    out.lineage.data_digests += !one.digest.empty();
  });
}
void read_environment(value& v, ModelVersion& out, const Path& at) {
  static constexpr Field<LineageFacts> kEnvironment[] = {{"image", said<LineageFacts, &LineageFacts::image>}};
  read_object(v, out.lineage, kEnvironment, at);
}
void read_run(value& v, ModelVersion& out, const Path& at) {
  static constexpr Field<LineageFacts> kRunFacts[] = {{"name", said<LineageFacts, &LineageFacts::run>},
                                                      {"parameters", read_origin}};
  read_object(v, out.lineage, kRunFacts, at);
}
constexpr Field<ModelVersion> kLineage[] = {{"code", read_code},
                                            {"data", read_data},
                                            {"environment", read_environment},
                                            {"run", read_run},
                                            {"parent", member<&ModelVersion::parent>}};
constexpr Field<ModelVersion> kVersionSpec[] = {
    {"modelRef", into<kVersionModel>},
    {"artifact", member<&ModelVersion::artifact>},
    {"parts", read_parts<ModelVersion>},
    {"lineage", into<kLineage>},
    {"metrics", member<&ModelVersion::metrics>},
};
constexpr Field<Evaluation> kEvaluation[] = {
    {"run", member<&Evaluation::run>}, {"at", member<&Evaluation::at>}, {"metrics", member<&Evaluation::metrics>}};
bool read(value& v, Evaluation& out, const Path& at) { return read_object(v, out, kEvaluation, at); }
constexpr Field<ModelVersion> kVersionStatus[] = {
    {"evaluation", member<&ModelVersion::evaluation>},
    {"phase", member<&ModelVersion::phase>},
    {"message", member<&ModelVersion::message>},
    {"failedRollout", member<&ModelVersion::failed_rollout>},
    {"served", member<&ModelVersion::served>},
    {"conditions", member<&ModelVersion::conditions>},
};

// ---- ModelRuntime ----

constexpr Field<ModelRuntime> kMetrics[] = {{"port", member<&ModelRuntime::metrics_port>},
                                            {"path", member<&ModelRuntime::metrics_path>}};
void read_update_policy(value& v, RuntimeUpdate& out, const Path& at) {
  std::string word;
  if (read(v, word, at)) out.automatic = word == "Automatic";
}
constexpr Field<RuntimeUpdate> kUpdate[] = {{"policy", read_update_policy},
                                            {"maxConcurrent", member<&RuntimeUpdate::max_concurrent>},
                                            {"maxFailures", member<&RuntimeUpdate::max_failures>}};
bool read(value& v, RuntimeUpdate& out, const Path& at) { return read_object(v, out, kUpdate, at); }

constexpr Field<ModelRuntime> kRuntimeSpec[] = {
    {"formats", member<&ModelRuntime::formats>},   {"priority", member<&ModelRuntime::priority>},
    {"port", member<&ModelRuntime::port>},         {"metrics", into<kMetrics>},
    {"protocol", member<&ModelRuntime::protocol>}, {"template", raw_member<&ModelRuntime::pod_template>},
    {"update", member<&ModelRuntime::update>},     {"ociArtifacts", word<&ModelRuntime::image_volumes, kOciArtifacts>},
};

// The counts are for people: decisions count anew.
constexpr Field<RuntimeStatus> kRuntimeStatus[] = {{"rolling", member<&RuntimeStatus::rolling>}, {"conditions", member<&RuntimeStatus::conditions>}};

// ---- roots ----

void read_model_status(value& v, Root<Model>& out, const Path& at) { read(v, out.object.status, at); }
void read_version_status(value& v, Root<ModelVersion>& out, const Path& at) {
  read_object_and_raw(v, out.object, out.object.status_raw, kVersionStatus, at);
}

void read_runtime_status(value& v, Root<ModelRuntime>& out, const Path& at) {
  read_object_and_raw(v, out.object.status, out.object.status.raw, kRuntimeStatus, at);
}

constexpr Field<Root<Model>> kModel[] = {{"apiVersion", ignored},
                                         {"kind", ignored},
                                         {"metadata", root_metadata},
                                         {"spec", root_part<kModelSpec>},
                                         {"status", read_model_status}};
constexpr Field<Root<ModelVersion>> kVersion[] = {{"apiVersion", ignored},
                                                  {"kind", ignored},
                                                  {"metadata", root_metadata},
                                                  {"spec", root_part<kVersionSpec>},
                                                  {"status", read_version_status}};
constexpr Field<Root<ModelRuntime>> kRuntime[] = {{"apiVersion", ignored},
                                                  {"kind", ignored},
                                                  {"metadata", root_metadata},
                                                  {"spec", root_part<kRuntimeSpec>},
                                                  {"status", read_runtime_status}};

}  // namespace read

template <>
Result<Model> parse<Model>(std::string_view json, Coverage* coverage) {
  read::Report report{{}, {}, coverage};
  auto root = read::read_root(json, read::kModel, report);
  if (!root) return fail(root.error());
  Model& model = root->object;
  model.problem = std::move(report.problem);
  model.configmaps = configmaps_of(model.template_overlay);
  model.about.changed_by = std::move(root->extra.changed_by);
  // Nobody has to wait for the autoscaler's first look to get the least of it. 0 switches it off.
  if (const auto& a = model.autoscaling; a && model.replicas > 0)
    model.replicas = std::clamp(model.replicas, a->min, std::max(a->min, a->max));
  return std::move(model);
}

template <>
Result<ModelVersion> parse<ModelVersion>(std::string_view json, Coverage* coverage) {
  read::Report report{{}, {}, coverage};
  auto root = read::read_root(json, read::kVersion, report);
  if (!root) return fail(root.error());
  root->object.changed_by = std::move(root->extra.changed_by);
  return std::move(root->object);
}

template <>
Result<ModelRuntime> parse<ModelRuntime>(std::string_view json, Coverage* coverage) {
  read::Report report{{}, {}, coverage};
  auto root = read::read_root(json, read::kRuntime, report);
  if (!root) return fail(root.error());
  root->object.configmaps = configmaps_of(root->object.pod_template);
  return std::move(root->object);
}

}  // namespace mo::api
