// What is measured, and by which steps a rollout goes: gates, gate sets, rollout policies and monitors.
#include "operator/api/parse.h"
#include "operator/api/readers.h"

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

constexpr EnumNames<Gate::OnInconclusive> kOnInconclusive[] = {{"Pause", Gate::OnInconclusive::Pause},
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

constexpr EnumNames<Kind> kGateSetKinds[] = {{"ModelGateSet", Kind::ModelGateSet},
                                         {"ClusterModelGateSet", Kind::ClusterModelGateSet}};
constexpr Field<GateSetRef> kGateSetRef[] = {{"name", member<&GateSetRef::name>},
                                             {"kind", word<&GateSetRef::kind, kGateSetKinds>}};
bool read(value& v, GateSetRef& out, const Path& at) { return read_object(v, out, kGateSetRef, at); }

constexpr EnumNames<RolloutPolicy::OnFailure> kOnFailure[] = {{"Rollback", RolloutPolicy::OnFailure::Rollback},
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

// ---- monitors ----

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
    else if (action != "Alert") here.blame("\"" + action + "\" is not one of Alert, Retrain, Rollback, Hold");
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
    {"required", member<&Monitor::required>},
};
bool read(value& v, Monitor& out, const Path& at) { return read_object(v, out, kMonitor, at); }

// ---- ModelGateSet and ClusterModelGateSet ----

constexpr Field<GateSet> kGateSetSpec[] = {{"gates", member<&GateSet::gates>}, {"monitors", member<&GateSet::monitors>}};

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
Result<ModelGateSet> parse<ModelGateSet>(std::string_view json, Coverage* coverage) {
  return read::parse_gate_set<ModelGateSet>(json, coverage);
}

template <>
Result<ClusterModelGateSet> parse<ClusterModelGateSet>(std::string_view json, Coverage* coverage) {
  return read::parse_gate_set<ClusterModelGateSet>(json, coverage);
}

}  // namespace mo::api
