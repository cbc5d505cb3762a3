// Models, ModelVersions and ModelRuntimes. Each table below is one object of the CRDs, its names in their order.
#include "operator/api/parse.h"
#include "operator/api/readers.h"
#include "operator/api/statuses.h"
#include "operator/json/pod_config.h"

namespace mo::api {

namespace read {

// ---- shared ----

constexpr Field<Condition> kCondition[] = {
    always<&Condition::type>("type"),
    always<&Condition::status>("status"),
    always<&Condition::reason>("reason"),
    always<&Condition::message>("message"),
    always<&Condition::last_transition>("lastTransitionTime"),
    always<&Condition::observed_generation>("observedGeneration"),
};
bool read(value& v, Condition& out, const Path& at) { return read_object(v, out, kCondition, at); }
bool write(const Condition& from, Out out) { return write_object(from, kCondition, out); }

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
constexpr EnumNames<bool> kOciArtifacts[] = {{"Fetch", false}, {"ImageVolume", true}};
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
    stored<&Revision::name>("name"),   always<&Revision::deployment>("deployment"),
    stored<&Revision::unlabelled>("unlabelled"), stored<&Revision::unpinned>("unpinned"), stored<&Revision::asked>("asked"),
    stored_raw<&Revision::pod_template>("template"),
};
// Without the name of its Deployment, of a status that somebody else wrote, it is none.
bool read(value& v, Revision& out, const Path& at) {
  return read_object(v, out, kRevision, at) && !out.deployment.empty();
}
bool write(const Revision& from, Out out) { return write_object(from, kRevision, out); }
constexpr Field<Served> kServed[] = {
    always<&Served::version>("version"), stored<&Served::digest>("digest"), always<&Served::revision>("revision")};
bool read(value& v, Served& out, const Path& at) {
  return read_object(v, out, kServed, at) && !out.version.empty() && !out.revision.deployment.empty();
}
bool write(const Served& from, Out out) { return write_object(from, kServed, out); }

constexpr Field<Pinned> kPinned[] = {always<&Pinned::uri>("uri"), always<&Pinned::digest>("digest")};
bool read(value& v, Pinned& out, const Path& at) { return read_object(v, out, kPinned, at) && !out.digest.empty(); }
bool write(const Pinned& from, Out out) { return write_object(from, kPinned, out); }

constexpr Field<TrafficShare> kTrafficShare[] = {always<&TrafficShare::version>("version"),
                                                 stored<&TrafficShare::revision>("revision"),
                                                 always<&TrafficShare::weight>("weight")};
bool read(value& v, TrafficShare& out, const Path& at) { return read_object(v, out, kTrafficShare, at); }
bool write(const TrafficShare& from, Out out) { return write_object(from, kTrafficShare, out); }

constexpr Field<ModelStatus> kSpecIntent[] = {stored<&ModelStatus::spec_version>("version"),
                                              stored<&ModelStatus::spec_revision>("revision"),
                                              stored<&ModelStatus::spec_generation>("generation"),
                                              stored<&ModelStatus::spec_authors>("authors")};

constexpr Field<Intent> kIntent[] = {
    always<&Intent::version>("version"), always<&Intent::origin>("origin"),
    stored<&Intent::rollout>("rollout"), stored<&Intent::outcome>("outcome"),
    stored<&Intent::reason>("reason"),   stored<&Intent::message>("message"),
    stored<&Intent::since>("since"),     stored<&Intent::rollout_uid>("rolloutUID"),
    stored<&Intent::revision>("revision"),
};
bool read(value& v, Intent& out, const Path& at) { return read_object(v, out, kIntent, at); }
bool write(const Intent& from, Out out) { return write_object(from, kIntent, out) && !from.version.empty(); }

constexpr Field<RetrainingRun> kRun[] = {
    always<&RetrainingRun::number>("number"),   always<&RetrainingRun::name>("name"),
    always<&RetrainingRun::trigger>("trigger"), always<&RetrainingRun::started>("startedAt"),
    stored<&RetrainingRun::uid>("uid"),         stored<&RetrainingRun::job>("job"),
    stored<&RetrainingRun::job_uid>("jobUID"),
};
// A run without a name, of a status that somebody else wrote, is none: there is no Job to look for.
bool read(value& v, RetrainingRun& out, const Path& at) {
  return read_object(v, out, kRun, at) && !out.name.empty();
}
bool write(const RetrainingRun& from, Out out) { return write_object(from, kRun, out); }

struct DatasetDigest {
  std::string trigger, digest;
};
constexpr Field<DatasetDigest> kDatasetDigest[] = {always<&DatasetDigest::trigger>("trigger"),
                                                   always<&DatasetDigest::digest>("digest")};
bool write(const DatasetDigest& from, Out out) { return write_object(from, kDatasetDigest, out); }
void read_datasets(value& v, RetrainingStatus& out, const Path& at) {
  each_item(v, at, [&](value& item, const Path& here) {
    DatasetDigest found;
    if (read_object(item, found, kDatasetDigest, here)) out.datasets[found.trigger] = found.digest;
  });
}

void write_datasets(const RetrainingStatus& from, Json& object, std::string_view name) {
  std::vector<DatasetDigest> all;
  for (const auto& [trigger, digest] : from.datasets) all.push_back({trigger, digest});
  Json list;
  const bool says = write(all, Out{list});
  put(object, name, says, std::move(list));
}

constexpr Field<RetrainingStatus> kRetrainingStatus[] = {
    stored<&RetrainingStatus::last_trigger>("lastTrigger"),
    stored<&RetrainingStatus::last_run>("lastRun"),
    stored<&RetrainingStatus::last_result>("lastResult"),
    stored<&RetrainingStatus::next_scheduled>("nextScheduled"),
    stored<&RetrainingStatus::last_retrained>("lastRetrained"),
    always<&RetrainingStatus::runs_today>("runsToday"),
    always<&RetrainingStatus::day>("day"),
    stored<&RetrainingStatus::job_seconds_today>("jobSecondsToday"),
    stored<&RetrainingStatus::suppressed>("suppressed"),
    always<&RetrainingStatus::run_number>("runNumber"),
    stored<&RetrainingStatus::run>("run"),
    stored<&RetrainingStatus::last_started>("lastStarted"),
    stored<&RetrainingStatus::last_finished>("lastFinished"),
    exact<&RetrainingStatus::observed_request>("observedRequest"),
    stored<&RetrainingStatus::schedule_checked>("scheduleChecked"),
    stored<&RetrainingStatus::schedules>("schedules"),
    {"datasets", read_datasets, write_datasets},
    stored<&RetrainingStatus::mirror>("mirror"),
};
bool read(value& v, RetrainingStatus& out, const Path& at) {
  return read_object(v, out, kRetrainingStatus, at);
}
bool write(const RetrainingStatus& from, Out out) { return write_object(from, kRetrainingStatus, out); }

constexpr EnumNames<MonitorStatus::State> kMonitorStates[] = {{"NoData", MonitorStatus::State::NoData},
                                                          {"OK", MonitorStatus::State::Ok},
                                                          {"Pending", MonitorStatus::State::Pending},
                                                          {"Breached", MonitorStatus::State::Breached}};
constexpr Field<MonitorStatus> kMonitorStatus[] = {
    always<&MonitorStatus::name>("name"),
    stored_word<&MonitorStatus::state, kMonitorStates>("state"),
    stored<&MonitorStatus::value>("value"),
    stored<&MonitorStatus::version>("version"),
    stored<&MonitorStatus::message>("message"),
    stored<&MonitorStatus::since>("since"),
    stored<&MonitorStatus::last_checked>("lastChecked"),
    stored<&MonitorStatus::good_since>("goodSince"),
    stored<&MonitorStatus::attempts>("attempts"),
    stored<&MonitorStatus::rollback>("rollback"),
    stored<&MonitorStatus::rollback_made>("rollbackMade"),
    stored<&MonitorStatus::job>("job"),
    stored<&MonitorStatus::job_started>("jobStartedAt"),
    stored<&MonitorStatus::job_done>("jobDone"),
    stored<&MonitorStatus::policy>("policy"),
    stored<&MonitorStatus::set>("set"),
};
bool read(value& v, MonitorStatus& out, const Path& at) { return read_object(v, out, kMonitorStatus, at); }
bool write(const MonitorStatus& from, Out out) { return write_object(from, kMonitorStatus, out); }

constexpr Field<Adopted> kAdopted[] = {
    always<&Adopted::deployment>("deployment"), always<&Adopted::deployment_uid>("deploymentUID"),
    always<&Adopted::replicas>("replicas"),     stored<&Adopted::service_uid>("serviceUID"),
    stored_raw<&Adopted::service>("service"),   always<&Adopted::phase>("phase"),
    stored<&Adopted::since>("since"),
};
bool read(value& v, Adopted& out, const Path& at) {
  return read_object(v, out, kAdopted, at) && !out.deployment_uid.empty();
}
bool write(const Adopted& from, Out out) { return write_object(from, kAdopted, out); }

constexpr Field<ModelStatus> kModelStatus[] = {
    always<&ModelStatus::observed_generation>("observedGeneration"),
    always<&ModelStatus::phase>("phase"),
    always<&ModelStatus::message>("message"),
    always<&ModelStatus::conditions>("conditions"),
    stored<&ModelStatus::stable_version>("stableVersion"),
    stored<&ModelStatus::stable_digest>("stableDigest"),
    stored<&ModelStatus::pinned>("pinned"),
    stored<&ModelStatus::stable_revision>("stableRevision"),
    stored<&ModelStatus::previous>("previous"),
    stored<&ModelStatus::candidate_version>("candidateVersion"),
    stored<&ModelStatus::rollout>("rollout"),
    always<&ModelStatus::traffic>("traffic"),
    stored<&ModelStatus::warm>("warmVersions"),
    group<kSpecIntent>("spec"),
    stored<&ModelStatus::intent>("intent"),
    stored<&ModelStatus::retraining>("retraining"),
    stored<&ModelStatus::monitors>("monitors"),
    stored<&ModelStatus::adopted>("adopted"),
    stored<&ModelStatus::lifecycle>("lifecycle"),
    stored<&ModelStatus::audit>("audit"),
    stored<&ModelStatus::handled_by>("operator"),
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
    always<&Evaluation::run>("run"), always<&Evaluation::at>("at"), always<&Evaluation::metrics>("metrics")};
bool read(value& v, Evaluation& out, const Path& at) { return read_object(v, out, kEvaluation, at); }
bool write(const Evaluation& from, Out out) { return write_object(from, kEvaluation, out); }
constexpr Field<ModelVersion> kVersionStatus[] = {
    stored<&ModelVersion::evaluation>("evaluation"),
    always<&ModelVersion::phase>("phase"),
    stored<&ModelVersion::message>("message"),
    stored<&ModelVersion::failed_rollout>("failedRollout"),
    stored<&ModelVersion::served>("served"),
    always<&ModelVersion::conditions>("conditions"),
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
constexpr Field<RuntimeStatus> kRuntimeStatus[] = {always<&RuntimeStatus::rolling>("rolling"), always<&RuntimeStatus::conditions>("conditions")};

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

Json to_json(const ModelStatus& status) { return read::json_of(status, read::kModelStatus); }
Json status_json(const ModelVersion& version) { return read::json_of(version, read::kVersionStatus); }
Json to_json(const RuntimeStatus& status) { return read::json_of(status, read::kRuntimeStatus); }
Json to_json(const Adopted& adopted) {
  Json out;
  read::write(adopted, read::Out{out});
  return out;
}
Json to_json(const std::vector<MonitorStatus>& monitors) {
  Json out;
  read::write(monitors, read::Out{out});
  return out;
}

Json to_json(const Artifact& artifact) {
  Json out = {{"uri", artifact.uri}, {"digest", artifact.digest}};
  if (!artifact.format.name.empty()) out["format"]["name"] = artifact.format.name;
  if (!artifact.format.version.empty()) out["format"]["version"] = artifact.format.version;
  if (!artifact.size.empty()) out["size"] = artifact.size;
  if (artifact.unpack) out["unpack"] = true;
  if (!artifact.signature_uri.empty()) out["signature"] = {{"uri", artifact.signature_uri}, {"publicKey", artifact.public_key}};
  if (!artifact.secret.empty()) out["credentials"] = {{"secretName", artifact.secret}};
  return out;
}

Json to_json(const std::vector<Part>& parts) {
  Json out = Json::array();
  for (const Part& part : parts) out.push_back({{"name", part.name}, {"path", part.path}, {"artifact", to_json(part.artifact)}});
  return out;
}

}  // namespace mo::api
