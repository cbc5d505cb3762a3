// ModelRollouts.
#include "operator/api/parse.h"
#include "operator/api/readers.h"

namespace mo::api {

namespace read {

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
                                     {"at", member<&Ending::at>},
                                     {"approval", member<&Ending::approval>}};
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
    {"mirroredSince", member<&RolloutStatus::mirrored_since>},
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

void read_rollout_status(value& v, Root<ModelRollout>& out, const Path& at) {
  read(v, out.object.status, at);
}
constexpr Field<Root<ModelRollout>> kRollout[] = {{"apiVersion", ignored},
                                                  {"kind", ignored},
                                                  {"metadata", root_metadata},
                                                  {"spec", root_part<kRolloutSpec>},
                                                  {"status", read_rollout_status}};

}  // namespace read

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

}  // namespace mo::api
