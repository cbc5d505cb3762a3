// Models, ModelVersions, ModelRollouts, ModelRuntimes and gate sets. Each table below is one object of the CRDs, its
// names in their order.
#include "operator/api/parse.h"
#include "operator/api/read_rollout.h"
#include "operator/json/pod_config.h"

namespace mo::api {

namespace {
const Gate* find_gate(const std::vector<Gate>& gates, const std::string& name) {
  const auto found = std::find_if(gates.begin(), gates.end(), [&](const Gate& g) { return g.name == name; });
  return found == gates.end() ? nullptr : &*found;
}
}  // namespace

const Gate* RolloutPolicy::gate(const std::string& name) const { return find_gate(gates, name); }
const Gate* GateSet::gate(const std::string& name) const { return find_gate(gates, name); }

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

// ---- rollout policy ----

constexpr Field<Gate::VersusStable> kVersusStable[] = {
    {"query", member<&Gate::VersusStable::query>},
    {"maxRegression", member<&Gate::VersusStable::max_regression>},
    {"samplesQuery", member<&Gate::VersusStable::samples_query>},
    {"confidence", member<&Gate::VersusStable::confidence>}};
bool read(value& v, Gate::VersusStable& out, const Path& at) {
  return read_object(v, out, kVersusStable, at);
}

constexpr Field<Gate::Samples> kSamples[] = {{"query", member<&Gate::Samples::query>},
                                             {"min", member<&Gate::Samples::min>}};
bool read(value& v, Gate::Samples& out, const Path& at) { return read_object(v, out, kSamples, at); }

constexpr Words<Gate::OnInconclusive> kOnInconclusive[] = {{"Pause", Gate::OnInconclusive::Pause},
                                                           {"Wait", Gate::OnInconclusive::Wait},
                                                           {"Fail", Gate::OnInconclusive::Fail}};
constexpr Field<Gate> kGatePrometheus[] = {{"query", member<&Gate::prometheus_query>}};
constexpr Field<Gate> kGateVersion[] = {{"metric", member<&Gate::version_metric>}};
constexpr Field<Gate::Job> kGateJob[] = {{"template", raw_member<&Gate::Job::job_template>},
                                         {"metric", member<&Gate::Job::metric>}};
bool read(value& v, Gate::Job& out, const Path& at) { return read_object(v, out, kGateJob, at); }
constexpr Field<Gate::Web> kGateWeb[] = {{"url", member<&Gate::Web::url>}, {"path", member<&Gate::Web::path>}};
bool read(value& v, Gate::Web& out, const Path& at) { return read_object(v, out, kGateWeb, at); }
constexpr Field<Gate> kGate[] = {
    {"name", member<&Gate::name>},
    {"job", member<&Gate::job>},
    {"web", member<&Gate::web>},
    {"prometheus", into<kGatePrometheus>},
    {"version", into<kGateVersion>},
    {"min", member<&Gate::min>},
    {"max", member<&Gate::max>},
    {"versusStable", member<&Gate::versus_stable>},
    {"samples", member<&Gate::samples>},
    {"interval", member<&Gate::interval>},
    {"count", member<&Gate::count>},
    {"failureLimit", member<&Gate::failure_limit>},
    {"initialDelay", member<&Gate::initial_delay>},
    {"inconclusiveLimit", member<&Gate::inconclusive_limit>},
    {"onInconclusive", word<&Gate::on_inconclusive, kOnInconclusive>},
    {"dryRun", member<&Gate::dry_run>},
    {"required", member<&Gate::required>},
};
bool read(value& v, Gate& out, const Path& at) { return read_object(v, out, kGate, at); }

constexpr Field<Step::Pause> kPause[] = {{"duration", member<&Step::Pause::duration>}};
bool read(value& v, Step::Pause& out, const Path& at) { return read_object(v, out, kPause, at); }

constexpr Field<Step::Match> kMatch[] = {{"headers", member<&Step::Match::headers>}};
bool read(value& v, Step::Match& out, const Path& at) { return read_object(v, out, kMatch, at); }

constexpr Field<Step> kStep[] = {
    {"weight", member<&Step::weight>},
    {"pause", member<&Step::pause>},
    {"gates", member<&Step::gates>},
    {"background", member<&Step::background>},
    {"match", member<&Step::match>},
    {"candidateReplicas", member<&Step::candidate_replicas>},
};
bool read(value& v, Step& out, const Path& at) { return read_object(v, out, kStep, at); }

constexpr Words<Kind> kGateSetKinds[] = {{"ModelGateSet", Kind::ModelGateSet},
                                         {"ClusterModelGateSet", Kind::ClusterModelGateSet}};
constexpr Field<GateSetRef> kGateSetRef[] = {{"name", member<&GateSetRef::name>},
                                             {"kind", word<&GateSetRef::kind, kGateSetKinds>}};
bool read(value& v, GateSetRef& out, const Path& at) { return read_object(v, out, kGateSetRef, at); }

constexpr Words<RolloutPolicy::OnFailure> kOnFailure[] = {{"Rollback", RolloutPolicy::OnFailure::Rollback},
                                                          {"Pause", RolloutPolicy::OnFailure::Pause}};
void read_keep_replicas(value& v, RolloutPolicy::Bake& out, const Path& at) {
  std::string word;
  if (read(v, word, at)) out.keep_all = word == "All";
}
constexpr Field<RolloutPolicy::Bake> kBake[] = {{"duration", member<&RolloutPolicy::Bake::duration>},
                                                {"gates", member<&RolloutPolicy::Bake::gates>},
                                                {"keepReplicas", read_keep_replicas}};
bool read(value& v, RolloutPolicy::Bake& out, const Path& at) { return read_object(v, out, kBake, at); }
constexpr Field<RolloutPolicy> kPolicy[] = {
    {"strategy", word<&RolloutPolicy::strategy, kStrategies>},
    {"bake", member<&RolloutPolicy::bake>},
    {"keepWarm", member<&RolloutPolicy::keep_warm>},
    {"steps", member<&RolloutPolicy::steps>},
    {"gates", member<&RolloutPolicy::gates>},
    {"gateSets", member<&RolloutPolicy::gate_sets>},
    {"onFailure", word<&RolloutPolicy::on_failure, kOnFailure>},
    {"progressDeadlineSeconds",
     [](value& v, RolloutPolicy& out, const Path& at) {
       int seconds = 0;
       if (read(v, seconds, at)) out.progress_deadline = std::chrono::seconds(seconds);
     }},
};
bool read(value& v, RolloutPolicy& out, const Path& at) {
  return read_object_and_raw(v, out, out.raw, kPolicy, at);
}

// ---- Model.spec ----

// Where a monitor's figure comes from, and its bounds, are a gate's.
template <auto Member>
void figure(value& v, Monitor& out, const Path& at) {
  read(v, out.figure.*Member, at);
}
void read_monitor_prometheus(value& v, Monitor& out, const Path& at) { read_object(v, out.figure, kGatePrometheus, at); }
void read_actions(value& v, Monitor& out, const Path& at) {
  each_item(v, at, [&](value& item, const Path& here) {
    std::string action;
    if (!read(item, action, here)) return;
    if (action == "Retrain") out.retrain = true;
    else if (action == "Rollback") out.roll_back = true;
    else if (action == "Hold") out.hold = true;
    else if (action != "Alert") here.blame("\"" + action + "\" is none of Alert, Retrain, Rollback, Hold");
  });
}
void read_monitor_job(value& v, Monitor& out, const Path& at) {
  out.figure.job.emplace();
  out.figure.interval = std::chrono::hours(1);
  static constexpr Field<Monitor> kJob[] = {
      {"every", figure<&Gate::interval>},
      {"template", [](value& inner, Monitor& m, const Path& here) { raw_member<&Gate::Job::job_template>(inner, *m.figure.job, here); }},
      {"metric", [](value& inner, Monitor& m, const Path& here) { read(inner, m.figure.job->metric, here); }},
  };
  read_object(v, out, kJob, at);
}
constexpr Field<Monitor> kMonitor[] = {
    {"name", figure<&Gate::name>},
    {"job", read_monitor_job},
    {"prometheus", read_monitor_prometheus},
    {"web", figure<&Gate::web>},
    {"min", figure<&Gate::min>},
    {"max", figure<&Gate::max>},
    {"samples", figure<&Gate::samples>},
    {"interval",
     [](value& v, Monitor& out, const Path& at) {
       Duration interval{0};
       if (read(v, interval, at) && !out.figure.job) out.figure.interval = interval;  // a Job has its own
     }},
    {"for", member<&Monitor::bad_for>},
    {"recoverAfter", member<&Monitor::recover_after>},
    {"actions", read_actions},
};
bool read(value& v, Monitor& out, const Path& at) { return read_object(v, out, kMonitor, at); }

constexpr Field<Model> kRuntimeRef[] = {{"name", member<&Model::runtime>}};
constexpr Field<Model::Route> kRoute[] = {{"parentRefs", raw_member<&Model::Route::parent_refs>},
                                          {"hostnames", member<&Model::Route::hostnames>},
                                          {"sessionPersistence", raw_member<&Model::Route::session_persistence>}};
bool read(value& v, Model::Route& out, const Path& at) { return read_object(v, out, kRoute, at); }
constexpr Field<Model::Autoscaling> kAutoscaling[] = {{"minReplicas", member<&Model::Autoscaling::min>},
                                                      {"maxReplicas", member<&Model::Autoscaling::max>},
                                                      {"metrics", raw_member<&Model::Autoscaling::metrics>},
                                                      {"behavior", raw_member<&Model::Autoscaling::behavior>}};
bool read(value& v, Model::Autoscaling& out, const Path& at) { return read_object(v, out, kAutoscaling, at); }
constexpr Field<Model> kAdopt[] = {{"name", member<&Model::adopt>}};
constexpr Field<Model> kServing[] = {{"runtime", into<kRuntimeRef>},
                                     {"route", member<&Model::route>},
                                     {"adopt", into<kAdopt>},
                                     {"replicas", member<&Model::replicas>},
                                     {"autoscaling", member<&Model::autoscaling>},
                                     {"maxSurge", member<&Model::max_surge>},
                                     {"pinConfig", member<&Model::pin_config>},
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
    {"monitors", member<&Model::monitors>},
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
void read_run_name(value& v, ModelVersion& out, const Path& at) {
  static constexpr Field<LineageFacts> kRunName[] = {{"name", said<LineageFacts, &LineageFacts::run>}};
  read_object(v, out.lineage, kRunName, at);
}
constexpr Field<ModelVersion> kLineage[] = {{"code", read_code},
                                            {"data", read_data},
                                            {"environment", read_environment},
                                            {"run", read_run_name},
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

// ---- ModelRollout ----

constexpr Field<ModelRollout> kRolloutModel[] = {{"name", member<&ModelRollout::model>}};
constexpr Field<ModelRollout> kRolloutSpec[] = {
    {"modelRef", into<kRolloutModel>},
    {"version", member<&ModelRollout::version>},
    {"revision", member<&ModelRollout::revision>},
    {"desiredState", member<&ModelRollout::desired_state>},
    {"resumeRequestedAt", member<&ModelRollout::resume_requested_at>},
};

constexpr Field<Measurement> kMeasurement[] = {{"at", member<&Measurement::at>},
                                               {"value", member<&Measurement::value>},
                                               {"verdict", member<&Measurement::verdict>}};
bool read(value& v, Measurement& out, const Path& at) { return read_object(v, out, kMeasurement, at); }

constexpr Field<GateStatus> kGateStatus[] = {
    {"name", member<&GateStatus::name>},
    {"verdict", member<&GateStatus::verdict>},
    {"value", member<&GateStatus::value>},
    {"stableValue", member<&GateStatus::stable_value>},
    {"passed", member<&GateStatus::passed>},
    {"failed", member<&GateStatus::failed>},
    {"inconclusive", member<&GateStatus::inconclusive>},
    {"measurements", member<&GateStatus::measurements>},
    {"message", member<&GateStatus::message>},
    {"startedAt", member<&GateStatus::started>},
};
bool read(value& v, GateStatus& out, const Path& at) { return read_object(v, out, kGateStatus, at); }

constexpr Field<Ending> kEnding[] = {{"phase", member<&Ending::phase>},
                                     {"reason", member<&Ending::reason>},
                                     {"message", member<&Ending::message>},
                                     {"at", member<&Ending::at>}};
bool read(value& v, Ending& out, const Path& at) { return read_object(v, out, kEnding, at); }

constexpr Field<RolloutStatus> kStepStatus[] = {{"index", member<&RolloutStatus::step_index>},
                                                {"count", member<&RolloutStatus::step_count>}};
constexpr Field<RolloutStatus> kWeights[] = {{"stable", member<&RolloutStatus::stable_weight>},
                                             {"candidate", member<&RolloutStatus::candidate_weight>}};
constexpr Field<RolloutStatus> kRolloutStatus[] = {
    {"observedGeneration", member<&RolloutStatus::observed_generation>},
    {"phase", member<&RolloutStatus::phase>},
    {"message", member<&RolloutStatus::message>},
    {"conditions", member<&RolloutStatus::conditions>},
    {"fromVersion", member<&RolloutStatus::from_version>},
    {"attempt", member<&RolloutStatus::attempt>},
    {"fromDigest", member<&RolloutStatus::from_digest>},
    {"specHash", member<&RolloutStatus::spec_hash>},
    {"revision", member<&RolloutStatus::revision>},
    {"fromRevision", member<&RolloutStatus::from_revision>},
    {"digest", member<&RolloutStatus::digest>},
    {"step", into<kStepStatus>},
    {"weights", into<kWeights>},
    {"gates", member<&RolloutStatus::gates>},
    {"startedAt", member<&RolloutStatus::started>},
    {"finishedAt", member<&RolloutStatus::finished>},
    {"stepStartedAt", member<&RolloutStatus::step_started>},
    {"mirroringSince", member<&RolloutStatus::mirroring_since>},
    {"bakingSince", member<&RolloutStatus::baking_since>},
    {"waitingSince", member<&RolloutStatus::waiting_since>},
    {"stepGeneration", member<&RolloutStatus::step_generation>},
    {"observedResume", member<&RolloutStatus::observed_resume>},
    {"observedState", member<&RolloutStatus::observed_state>},
    {"pausedAt", member<&RolloutStatus::paused_at>},
    {"pauseReason", member<&RolloutStatus::pause_reason>},
    {"pauseMessage", member<&RolloutStatus::pause_message>},
    {"policy", member<&RolloutStatus::policy>},
    {"clusterGates", member<&RolloutStatus::cluster_gates>},
    {"governance", member<&RolloutStatus::governance>},
    {"approval", member<&RolloutStatus::approval>},
    {"ending", member<&RolloutStatus::ending>},
};
bool read(value& v, RolloutStatus& out, const Path& at) {
  return read_object_and_raw(v, out, out.raw, kRolloutStatus, at);
}

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
    {"update", member<&ModelRuntime::update>},
};

// The counts are for people: decisions count anew.
constexpr Field<RuntimeStatus> kRuntimeStatus[] = {{"rolling", member<&RuntimeStatus::rolling>}, {"conditions", member<&RuntimeStatus::conditions>}};

// ---- ModelGateSet and ClusterModelGateSet ----

constexpr Field<GateSet> kGateSetSpec[] = {{"gates", member<&GateSet::gates>}};

// ---- roots ----

void read_model_status(value& v, Root<Model>& out, const Path& at) { read(v, out.object.status, at); }
void read_rollout_status(value& v, Root<ModelRollout>& out, const Path& at) {
  read(v, out.object.status, at);
}
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
constexpr Field<Root<ModelRollout>> kRollout[] = {{"apiVersion", ignored},
                                                  {"kind", ignored},
                                                  {"metadata", root_metadata},
                                                  {"spec", root_part<kRolloutSpec>},
                                                  {"status", read_rollout_status}};
constexpr Field<Root<ModelRuntime>> kRuntime[] = {{"apiVersion", ignored},
                                                  {"kind", ignored},
                                                  {"metadata", root_metadata},
                                                  {"spec", root_part<kRuntimeSpec>},
                                                  {"status", read_runtime_status}};

template <class Set>
void read_gate_set_spec(value& v, Root<Set>& out, const Path& at) {
  GateSet& set = out.object;
  read_object_and_raw(v, set, set.raw, kGateSetSpec, at);
}
template <class Set>
constexpr Field<Root<Set>> kGateSet[] = {{"apiVersion", ignored},
                                         {"kind", ignored},
                                         {"metadata", root_metadata},
                                         {"spec", read_gate_set_spec<Set>}};

template <class Set>
Result<Set> parse_gate_set(std::string_view json, Coverage* coverage) {
  Report report{{}, {}, coverage};
  auto root = read_root(json, kGateSet<Set>, report);
  if (!root) return fail(root.error());
  root->object.problem = std::move(report.problem);
  return std::move(root->object);
}

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

namespace {
// There may be thousands of them: what they were made of is needed only to write their status once more.
void forget_the_way(ModelRollout& rollout) {
  RolloutStatus& s = rollout.status;
  if (!s.finished || s.observed_generation != rollout.meta.generation) return;
  s.policy.reset();
  s.governance.reset();
  s.approval.reset();
  for (auto* revision : {&s.revision, &s.from_revision})
    if (*revision) RawJson().swap((*revision)->pod_template);
  decltype(s.gates)().swap(s.gates);  // an assignment would keep what they hold
  decltype(s.conditions)().swap(s.conditions);
  decltype(s.raw)().swap(s.raw);
}
}  // namespace

template <>
Result<ModelRollout> parse<ModelRollout>(std::string_view json, Coverage* coverage) {
  read::Report report{{}, {}, coverage};
  auto root = read::read_root(json, read::kRollout, report);
  if (!root) return fail(root.error());
  root->object.origin = std::move(root->extra.origin);
  root->object.changed_by = std::move(root->extra.changed_by);
  root->object.steered_by = std::move(root->extra.steered_by);
  root->object.generated_name = !root->extra.generate_name.empty();
  root->object.problem = std::move(report.problem);
  forget_the_way(root->object);
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

template <>
Result<ModelGateSet> parse<ModelGateSet>(std::string_view json, Coverage* coverage) {
  return read::parse_gate_set<ModelGateSet>(json, coverage);
}

template <>
Result<ClusterModelGateSet> parse<ClusterModelGateSet>(std::string_view json, Coverage* coverage) {
  return read::parse_gate_set<ClusterModelGateSet>(json, coverage);
}

}  // namespace mo::api
