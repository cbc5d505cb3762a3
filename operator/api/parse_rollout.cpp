// ModelRollouts.
#include "operator/api/parse.h"
#include "operator/api/readers.h"
#include "operator/api/statuses.h"

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

constexpr Field<Measurement> kMeasurement[] = {always<&Measurement::at>("at"),
                                               stored<&Measurement::value>("value"),
                                               always<&Measurement::verdict>("verdict")};
bool read(value& v, Measurement& out, const Path& at) { return read_object(v, out, kMeasurement, at); }
bool write(const Measurement& from, Out out) { return write_object(from, kMeasurement, out); }

constexpr Field<GateStatus> kGateStatus[] = {
    always<&GateStatus::name>("name"),
    always<&GateStatus::verdict>("verdict"),
    stored<&GateStatus::value>("value"),
    stored<&GateStatus::stable_value>("stableValue"),
    always<&GateStatus::passed>("passed"),
    always<&GateStatus::failed>("failed"),
    always<&GateStatus::inconclusive>("inconclusive"),
    always<&GateStatus::measurements>("measurements"),
    stored<&GateStatus::message>("message"),
    stored<&GateStatus::started>("startedAt"),
};
bool read(value& v, GateStatus& out, const Path& at) { return read_object(v, out, kGateStatus, at); }
bool write(const GateStatus& from, Out out) { return write_object(from, kGateStatus, out); }

constexpr Field<Ending> kEnding[] = {always<&Ending::phase>("phase"),
                                     always<&Ending::reason>("reason"),
                                     always<&Ending::message>("message"),
                                     always<&Ending::at>("at"),
                                     stored<&Ending::approval>("approval")};
bool read(value& v, Ending& out, const Path& at) { return read_object(v, out, kEnding, at); }
bool write(const Ending& from, Out out) { return write_object(from, kEnding, out); }

// The snapshot is what was read; of a Model without spec.rollout it is empty.
bool write(const RolloutPolicy& from, Out out) {
  if (!write_raw(from.raw, out)) out.json = Json::object();
  return true;
}

constexpr Field<RolloutStatus> kStepStatus[] = {always<&RolloutStatus::step_index>("index"),
                                                always<&RolloutStatus::step_count>("count")};
constexpr Field<RolloutStatus> kWeights[] = {always<&RolloutStatus::stable_weight>("stable"),
                                             always<&RolloutStatus::candidate_weight>("candidate")};
constexpr Field<RolloutStatus> kRolloutStatus[] = {
    always<&RolloutStatus::observed_generation>("observedGeneration"),
    always<&RolloutStatus::phase>("phase"),
    always<&RolloutStatus::message>("message"),
    always<&RolloutStatus::conditions>("conditions"),
    stored<&RolloutStatus::from_version>("fromVersion"),
    stored<&RolloutStatus::attempt>("attempt"),
    stored<&RolloutStatus::from_digest>("fromDigest"),
    stored<&RolloutStatus::spec_hash>("specHash"),
    stored<&RolloutStatus::revision>("revision"),
    stored<&RolloutStatus::from_revision>("fromRevision"),
    stored<&RolloutStatus::digest>("digest"),
    group<kStepStatus>("step"),
    group<kWeights>("weights"),
    stored<&RolloutStatus::gates>("gates"),
    stored<&RolloutStatus::started>("startedAt"),
    stored<&RolloutStatus::finished>("finishedAt"),
    stored<&RolloutStatus::step_started>("stepStartedAt"),
    stored<&RolloutStatus::mirroring_since>("mirroringSince"),
    stored<&RolloutStatus::mirrored_since>("mirroredSince"),
    stored<&RolloutStatus::baking_since>("bakingSince"),
    stored<&RolloutStatus::waiting_since>("waitingSince"),
    always<&RolloutStatus::step_generation>("stepGeneration"),
    exact<&RolloutStatus::observed_resume>("observedResume"),
    stored<&RolloutStatus::observed_state>("observedState"),
    stored<&RolloutStatus::paused_at>("pausedAt"),
    stored<&RolloutStatus::pause_reason>("pauseReason"),
    stored<&RolloutStatus::pause_message>("pauseMessage"),
    stored<&RolloutStatus::policy>("policy"),
    stored<&RolloutStatus::cluster_gates>("clusterGates"),
    stored<&RolloutStatus::governance>("governance"),
    stored<&RolloutStatus::approval>("approval"),
    stored<&RolloutStatus::ending>("ending"),
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

Json to_json(const RolloutStatus& status) { return read::json_of(status, read::kRolloutStatus); }

}  // namespace mo::api
