// TrainingRuns, and how a Model says that it is to be trained anew. The tables are those of the CRDs, as in parse_modelops.cpp.
#include "operator/api/parse.h"
#include "operator/api/readers.h"
#include "operator/api/statuses.h"

namespace mo::api {

std::vector<std::string> Retraining::all_gates() const {
  std::vector<std::string> names;
  const auto take = [&](const std::vector<std::string>& gates) {
    for (const std::string& gate : gates)
      if (std::find(names.begin(), names.end(), gate) == names.end()) names.push_back(gate);
  };
  take(gates);
  if (evaluate) take(evaluate->gates);
  if (retry) take(retry->until);
  if (validate) take(validate->gates);
  return names;
}

namespace read {

// ---- Model.spec.retraining ----

constexpr Field<Trigger::Schedule> kSchedule[] = {{"cron", member<&Trigger::Schedule::cron>},
                                                  {"timeZone", member<&Trigger::Schedule::time_zone>},
                                                  {"startingDeadline", member<&Trigger::Schedule::starting_deadline>},
                                                  {"jitter", member<&Trigger::Schedule::jitter>}};
bool read(value& v, Trigger::Schedule& out, const Path& at) { return read_object(v, out, kSchedule, at); }

constexpr Field<Trigger::ConfigMapKeyRef> kKeyRef[] = {{"name", member<&Trigger::ConfigMapKeyRef::name>},
                                                       {"key", member<&Trigger::ConfigMapKeyRef::key>}};
bool read(value& v, Trigger::ConfigMapKeyRef& out, const Path& at) { return read_object(v, out, kKeyRef, at); }

constexpr Field<HttpDataset> kHttpDataset[] = {{"url", member<&HttpDataset::url>}, {"every", member<&HttpDataset::every>}};
bool read(value& v, HttpDataset& out, const Path& at) { return read_object(v, out, kHttpDataset, at); }

constexpr Field<OciDataset> kOciDataset[] = {{"reference", member<&OciDataset::reference>}, {"every", member<&OciDataset::every>}};
bool read(value& v, OciDataset& out, const Path& at) { return read_object(v, out, kOciDataset, at); }

constexpr Field<MlflowRegistry> kStoreCredentials[] = {{"secretName", member<&MlflowRegistry::store_secret>}};
constexpr Field<MlflowRegistry> kMlflowStore[] = {{"claimName", member<&MlflowRegistry::claim>},
                                                  {"folder", member<&MlflowRegistry::folder>},
                                                  {"uri", member<&MlflowRegistry::store_uri>},
                                                  {"credentials", into<kStoreCredentials>}};
constexpr Field<MlflowRegistry> kMlflowFormat[] = {{"name", member<&MlflowRegistry::format>}, {"version", member<&MlflowRegistry::format_version>}};
constexpr Field<MlflowRegistry> kMlflowCredentials[] = {{"secretName", member<&MlflowRegistry::secret>}};
constexpr Field<MlflowRegistry> kMlflowMirror[] = {{"servingAlias", member<&MlflowRegistry::serving_alias>}};
constexpr Field<MlflowRegistry> kMlflow[] = {{"url", member<&MlflowRegistry::url>},
                                             {"model", member<&MlflowRegistry::model>},
                                             {"alias", member<&MlflowRegistry::alias>},
                                             {"every", member<&MlflowRegistry::every>},
                                             {"store", into<kMlflowStore>},
                                             {"format", into<kMlflowFormat>},
                                             {"size", member<&MlflowRegistry::size>},
                                             {"credentials", into<kMlflowCredentials>},
                                             {"mirror", into<kMlflowMirror>}};
bool read(value& v, MlflowRegistry& out, const Path& at) { return read_object(v, out, kMlflow, at); }

constexpr Field<Trigger> kDataset[] = {
    {"configMapKeyRef", member<&Trigger::dataset>}, {"http", member<&Trigger::http>}, {"oci", member<&Trigger::oci>}};
constexpr Field<Trigger> kRegistry[] = {{"mlflow", member<&Trigger::mlflow>}};
constexpr Field<Trigger> kMonitorRef[] = {{"name", member<&Trigger::monitor>}};
constexpr Field<Trigger> kModelRef[] = {{"name", member<&Trigger::model>}};
constexpr Field<Trigger> kTrigger[] = {{"name", member<&Trigger::name>},
                                       {"schedule", member<&Trigger::schedule>},
                                       {"dataset", into<kDataset>},
                                       {"monitor", into<kMonitorRef>},
                                       {"model", into<kModelRef>},
                                       {"registry", into<kRegistry>}};
bool read(value& v, Trigger& out, const Path& at) { return read_object(v, out, kTrigger, at); }

constexpr Field<TrainingStage> kStage[] = {{"template", raw_member<&TrainingStage::job_template>},
                                           {"gates", member<&TrainingStage::gates>}};
bool read(value& v, TrainingStage& out, const Path& at) { return read_object(v, out, kStage, at); }

constexpr Field<TrainingWorkload::RunResult> kResultPods[] = {{"matchLabels", member<&TrainingWorkload::RunResult::pods>}};
constexpr Field<TrainingWorkload::RunResult> kWorkloadResult[] = {{"pods", into<kResultPods>},
                                                                  {"expression", member<&TrainingWorkload::RunResult::expression>}};
bool read(value& v, TrainingWorkload::RunResult& out, const Path& at) { return read_object(v, out, kWorkloadResult, at); }
constexpr Field<TrainingWorkload> kWorkload[] = {{"object", raw_member<&TrainingWorkload::object>},
                                                 {"resource", member<&TrainingWorkload::resource>},
                                                 {"success", member<&TrainingWorkload::success>},
                                                 {"failure", member<&TrainingWorkload::failure>},
                                                 {"result", member<&TrainingWorkload::result>}};
bool read(value& v, TrainingWorkload& out, const Path& at) { return read_object(v, out, kWorkload, at); }

void read_parameters(value& v, Trials& out, const Path& at) {
  simdjson::ondemand::object object;
  if (const auto error = v.get_object().get(object)) return at.mismatch(v, error, "an object");
  each_field(object, at, [&](std::string_view name, value& item) {
    const std::string key(name);
    read(item, out.parameters[key], Path(at, key));
  });
}
constexpr EnumNames<Trials::Sample> kSample[] = {{"Grid", Trials::Sample::Grid}, {"Random", Trials::Sample::Random}};
constexpr EnumNames<Trials::Objective::Goal> kGoal[] = {{"Maximize", Trials::Objective::Goal::Maximize},
                                                    {"Minimize", Trials::Objective::Goal::Minimize}};
constexpr Field<Trials::Objective> kObjective[] = {{"metric", member<&Trials::Objective::metric>},
                                                   {"goal", word<&Trials::Objective::goal, kGoal>}};
bool read(value& v, Trials::Objective& out, const Path& at) { return read_object(v, out, kObjective, at); }
constexpr Field<Trials> kTrials[] = {{"parallelism", member<&Trials::parallelism>},
                                     {"parameters", read_parameters},
                                     {"sample", word<&Trials::sample, kSample>},
                                     {"count", member<&Trials::count>},
                                     {"objective", member<&Trials::objective>}};
bool read(value& v, Trials& out, const Path& at) { return read_object(v, out, kTrials, at); }

constexpr Field<Retry> kRetry[] = {
    {"until", member<&Retry::until>}, {"attempts", member<&Retry::attempts>}, {"backoff", member<&Retry::backoff>}};
bool read(value& v, Retry& out, const Path& at) { return read_object(v, out, kRetry, at); }

constexpr EnumNames<Retraining::OnSuccess> kOnSuccess[] = {{"Rollout", Retraining::OnSuccess::Rollout},
                                                       {"Register", Retraining::OnSuccess::Register}};
constexpr EnumNames<Retraining::Concurrency> kConcurrency[] = {{"Forbid", Retraining::Concurrency::Forbid},
                                                           {"Replace", Retraining::Concurrency::Replace}};
constexpr Field<Retraining> kLimits[] = {{"cooldown", member<&Retraining::cooldown>},
                                         {"maxPerDay", member<&Retraining::max_per_day>},
                                         {"jobHoursPerDay", member<&Retraining::job_hours_per_day>},
                                         {"attempts", member<&Retraining::attempts>},
                                         {"startDeadline", member<&Retraining::start_deadline>},
                                         {"deadline", member<&Retraining::deadline>},
                                         {"concurrency", word<&Retraining::concurrency, kConcurrency>}};
constexpr Field<Retraining> kQueue[] = {{"kueue", member<&Retraining::kueue>}};
constexpr Field<Retraining> kRetraining[] = {
    {"triggers", member<&Retraining::triggers>},
    {"requestedAt", member<&Retraining::requested_at>},
    {"limits", into<kLimits>},
    {"validate", member<&Retraining::validate>},
    {"template", raw_member<&Retraining::job_template>},
    {"workload", member<&Retraining::workload>},
    {"trials", member<&Retraining::trials>},
    {"evaluate", member<&Retraining::evaluate>},
    {"retry", member<&Retraining::retry>},
    {"gates", member<&Retraining::gates>},
    {"onSuccess", word<&Retraining::on_success, kOnSuccess>},
    {"queue", into<kQueue>},
};
bool read(value& v, Retraining& out, const Path& at) { return read_object(v, out, kRetraining, at); }

// ---- TrainingRun ----

constexpr Field<TrainingRun> kRunModel[] = {{"name", member<&TrainingRun::model>}};
constexpr Field<TrainingRun> kRunTrigger[] = {{"name", member<&TrainingRun::trigger>}, {"kind", member<&TrainingRun::trigger_kind>}};
constexpr Field<TrainingRun> kRunSpec[] = {{"modelRef", into<kRunModel>},
                                           {"trigger", into<kRunTrigger>},
                                           {"parameters", member<&TrainingRun::parameters>},
                                           {"seed", member<&TrainingRun::seed>},
                                           {"workload", member<&TrainingRun::workload>},
                                           {"onSuccess", word<&TrainingRun::on_success, kOnSuccess>},
                                           {"desiredState", member<&TrainingRun::desired_state>}};

constexpr Field<StageStatus> kStageJob[] = {stored<&StageStatus::job>("name"), stored<&StageStatus::job_uid>("uid")};
constexpr Field<StageStatus> kStageStatus[] = {
    always<&StageStatus::name>("name"),          always<&StageStatus::phase>("phase"),
    group<kStageJob>("job"),                      stored<&StageStatus::started>("startedAt"),
    stored<&StageStatus::finished>("finishedAt"), stored<&StageStatus::metrics>("metrics"),
    stored<&StageStatus::message>("message")};
bool read(value& v, StageStatus& out, const Path& at) { return read_object(v, out, kStageStatus, at) && !out.name.empty(); }
bool write(const StageStatus& from, Out out) { return write_object(from, kStageStatus, out); }

constexpr Field<TrialStatus> kTrialJob[] = {stored<&TrialStatus::job>("name"), stored<&TrialStatus::job_uid>("uid")};
constexpr Field<WorkloadRef> kWorkloadRef[] = {
    always<&WorkloadRef::api_version>("apiVersion"), always<&WorkloadRef::kind>("kind"), always<&WorkloadRef::resource>("resource")};
bool read(value& v, WorkloadRef& out, const Path& at) { return read_object(v, out, kWorkloadRef, at); }
bool write(const WorkloadRef& from, Out out) { return write_object(from, kWorkloadRef, out) && !from.empty(); }
constexpr Field<TrialStatus> kTrialStatus[] = {
    always<&TrialStatus::attempt>("attempt"),     always<&TrialStatus::index>("index"),
    stored<&TrialStatus::parameters>("parameters"), always<&TrialStatus::phase>("phase"),
    group<kTrialJob>("job"),                       stored<&TrialStatus::workload>("workload"),
    stored<&TrialStatus::started>("startedAt"),
    stored<&TrialStatus::finished>("finishedAt"), stored<&TrialStatus::metrics>("metrics"),
    stored<&TrialStatus::message>("message")};
bool read(value& v, TrialStatus& out, const Path& at) { return read_object(v, out, kTrialStatus, at); }
bool write(const TrialStatus& from, Out out) { return write_object(from, kTrialStatus, out); }

constexpr Field<TrainedResult> kResult[] = {always<&TrainedResult::trial>("trial"),
                                            always<&TrainedResult::artifact>("artifact"),
                                            stored<&TrainedResult::metrics>("metrics"),
                                            stored_raw<&TrainedResult::lineage>("lineage"),
                                            stored<&TrainedResult::image>("image")};
// Without a digest nothing could be proved of it.
bool read(value& v, TrainedResult& out, const Path& at) {
  return read_object(v, out, kResult, at) && !out.artifact.digest.empty();
}
bool write(const Artifact& from, Out out) { return out.json = to_json(from), true; }
bool write(const TrainedResult& from, Out out) { return write_object(from, kResult, out); }

constexpr Field<TrainingRunStatus> kRunStatus[] = {
    always<&TrainingRunStatus::observed_generation>("observedGeneration"),
    always<&TrainingRunStatus::phase>("phase"),
    always<&TrainingRunStatus::message>("message"),
    always<&TrainingRunStatus::conditions>("conditions"),
    stored<&TrainingRunStatus::stages>("stages"),
    stored<&TrainingRunStatus::trials>("trials"),
    stored<&TrainingRunStatus::attempt>("attempt"),
    always<&TrainingRunStatus::seed>("seed"),
    stored<&TrainingRunStatus::result>("result"),
    stored<&TrainingRunStatus::champion>("champion"),
    stored<&TrainingRunStatus::version>("version"),
    stored<&TrainingRunStatus::score>("score"),
    stored<&TrainingRunStatus::started>("startedAt"),
    stored<&TrainingRunStatus::finished>("finishedAt"),
    stored<&TrainingRunStatus::retry_at>("retryAt"),
    stored<&TrainingRunStatus::job_seconds>("jobSeconds"),
};
void read_run_status(value& v, Root<TrainingRun>& out, const Path& at) {
  TrainingRunStatus& status = out.object.status;
  read_object_and_raw(v, status, status.raw, kRunStatus, at);
}

constexpr Field<Root<TrainingRun>> kRunRoot[] = {{"apiVersion", ignored},
                                                 {"kind", ignored},
                                                 {"metadata", root_metadata},
                                                 {"spec", root_part<kRunSpec>},
                                                 {"status", read_run_status}};

// There may be thousands: what they were made of is needed only to write their status once more.
void forget_the_way(TrainingRun& run) {
  TrainingRunStatus& s = run.status;
  if (!is_over(run) || s.observed_generation != run.meta.generation) return;
  decltype(s.stages)().swap(s.stages);
  decltype(s.trials)().swap(s.trials);
  decltype(s.conditions)().swap(s.conditions);
  decltype(s.raw)().swap(s.raw);
  s.result.reset();
}

}  // namespace read

template <>
Result<TrainingRun> parse<TrainingRun>(std::string_view json, Coverage* coverage) {
  read::Report report{{}, {}, coverage};
  auto root = read::read_root(json, read::kRunRoot, report);
  if (!root) return fail(root.error());
  root->object.changed_by = std::move(root->extra.changed_by);
  root->object.generated_name = !root->extra.generate_name.empty();
  root->object.problem = std::move(report.problem);
  read::forget_the_way(root->object);
  return std::move(root->object);
}

Json to_json(const TrainingRunStatus& status) { return read::json_of(status, read::kRunStatus); }

}  // namespace mo::api
