// The kinds of modelops.dev/v1alpha1 as the operator sees them: narrow, immutable after parsing, cheap to
// keep by the ten thousand. The CRD YAML in crds/ is the source of truth; tests/unit/crd_test.cpp proves that
// these structs and the CRDs name the same fields.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/artifact.h"
#include "operator/api/audit.h"
#include "operator/api/governance.h"
#include "operator/api/kubernetes.h"
#include "operator/api/lifecycle.h"
#include "operator/api/meta.h"
#include "operator/api/mirror.h"
#include "operator/api/retraining_spec.h"
#include "operator/api/revision.h"
#include "operator/core/decimal.h"
#include "operator/core/ids.h"
#include "operator/core/plan.h"
#include "operator/core/time.h"

namespace mo::api {

// ---- rollout policy, on Model.spec.rollout and as the snapshot in ModelRollout.status.policy ----

struct Gate {
  std::string name;
  // exactly one of the four
  std::optional<std::string> prometheus_query;
  std::optional<std::string> version_metric;
  struct Job {
    RawJson job_template;  // JobTemplateSpec
    std::string metric;    // of its RunResult
    bool operator==(const Job&) const = default;
  };
  std::optional<Job> job;
  struct Web {
    std::string url, path;
    bool operator==(const Web&) const = default;
  };
  std::optional<Web> web;
  std::optional<Decimal> min, max;
  struct VersusStable {
    std::optional<std::string>
        query;  // with prometheus; a version gate compares the stable version's recorded metric
    Decimal max_regression;
    // Both or neither: the figures are shares, and a regression counts at this confidence (compare.h).
    std::optional<std::string> samples_query;
    std::optional<Decimal> confidence;
    bool operator==(const VersusStable&) const = default;
  };
  std::optional<VersusStable> versus_stable;
  struct Samples {
    std::string query;
    int64_t min = 0;
    bool operator==(const Samples&) const = default;
  };
  std::optional<Samples> samples;
  Duration interval = std::chrono::seconds(10);
  int count = 1;          // measurements that must pass
  int failure_limit = 0;  // measurements that may fail
  Duration initial_delay{0};  // from when it begins to its first measurement
  std::optional<int> inconclusive_limit;  // inconclusive measurements in a row that decide nothing yet
  enum class OnInconclusive { Pause, Wait, Fail };
  std::optional<OnInconclusive> on_inconclusive;  // absent: Pause where a step waits for it, Wait where it is watched
  bool dry_run = false;  // measured and told, without consequences
  bool required = false;  // of a ClusterModelGateSet: no other gate replaces it, and nothing skips it
  // False of a kind of gate that an operator of another version knows.
  bool measurable() const { return prometheus_query || version_metric || job || web; }
  bool operator==(const Gate&) const = default;
};

// What a request's header must say.
struct Step {  // exactly one of the six
  std::optional<int> weight;
  struct Pause {
    std::optional<Duration> duration;  // absent: until a person goes on
  };
  std::optional<Pause> pause;
  std::vector<std::string> gates;
  std::vector<std::string> background;  // gates that are watched from here on
  struct Match {
    std::vector<HeaderMatch> headers;  // all must hold
  };
  std::optional<Match> match = {};             // whose requests all go to the candidate from here on
  std::optional<int> candidate_replicas = {};  // from here on, apart from weight
};

struct GateSetRef {
  std::string name;
  Kind kind = Kind::ModelGateSet;  // or ClusterModelGateSet
  ObjectRef from(const std::string& ns) const {
    return {kind, {kind == Kind::ModelGateSet ? ns : "", name}};
  }
};

struct RolloutPolicy {
  enum class Strategy { Canary, BlueGreen, Shadow, Recreate } strategy = Strategy::Canary;
  std::vector<Step> steps;  // empty: straight to 100
  std::vector<Gate> gates;
  std::vector<GateSetRef> gate_sets;  // where else gates are defined; what comes first wins
  enum class OnFailure { Rollback, Pause } on_failure = OnFailure::Rollback;
  Duration progress_deadline = std::chrono::seconds(600);
  struct Bake {
    Duration duration{0};
    std::vector<std::string> gates;
    bool keep_all = false;  // of the version before, also where the last step left fewer pods
  };
  std::optional<Bake> bake;
  int keep_warm = 0;  // versions that served before and keep their pods
  RawJson raw = "{}";  // as it was read, for the snapshot
  // Names of those gates that are a ClusterModelGateSet's. No field of a spec: who writes a Model must not say so.
  std::vector<std::string> cluster_gates = {};

  const Gate* gate(const std::string& name) const;
};

// ---- Model ----

// A figure that is watched all the time on the version that serves.
struct Monitor {
  Gate figure;   // name, where the figure comes from (Prometheus, web or a Job), bounds, samples, interval (of a Job: job.every)
  Duration bad_for{0};        // spec `for`: bad without a break for so long before it counts as breached
  Duration recover_after{0};  // good without a break for so long before a breach is over
  bool retrain = false, roll_back = false, hold = false;  // actions beside Alert
  bool required = false;      // of a ClusterModelGateSet: a Model's own of that name does not take its place
  std::string policy = {};    // the ModelPolicy that it is of, or
  std::string set = {};       // the gate set, such as ModelGateSet/shared; both empty: it is the Model's own
  bool of_cluster = false;    // the cluster's admins wrote it
  bool operator==(const Monitor&) const = default;
};

struct TrafficShare {
  std::string version;
  int weight = 0;
  std::string revision = {};  // where both shares are of one version
  bool operator==(const TrafficShare&) const = default;
};

// What the operator set out to do last; kept in status so that a restart, or a deleted ModelRollout, forgets
// nothing.
struct Intent {
  std::string version;
  std::string origin;   // Spec | Rollout | Retraining
  std::string rollout;  // name of the ModelRollout that carries it; empty for a first version that needs none
  std::string outcome;  // empty while under way, else the rollout's last phase
  std::string reason, message;     // of the outcome
  std::optional<TimePoint> since;  // older rollouts that still wait are superseded by it
  std::string rollout_uid = {};    // of `rollout`, once it was seen: if that object is gone, somebody deleted it
  std::string revision = {};       // that the rollout was to bring, once it is over
};

struct RetrainingRun {
  int64_t number = 0;
  std::string name;     // of the TrainingRun
  std::string trigger;  // name of the trigger, "requested" for a person's
  TimePoint started{};
  std::string uid = {};  // of the TrainingRun, once it was seen
  // Of a run that an operator before TrainingRuns started: its Job is the stage train.
  std::string job = {}, job_uid = {};
};

struct RetrainingStatus {
  std::string last_trigger, last_run, last_result;
  std::optional<TimePoint> next_scheduled;
  std::optional<TimePoint> last_retrained;  // the last run that registered a version
  int64_t runs_today = 0;
  std::string day;         // the UTC day that runs_today counts, "2026-11-22"
  int64_t job_seconds_today = 0;  // of the runs that ended on that day
  std::string suppressed;  // why a trigger did not start a run, empty if none waits
  // bookkeeping
  int64_t run_number = 0;
  std::optional<RetrainingRun> run;  // the one under way
  std::optional<TimePoint> last_started, last_finished;
  std::optional<TimePoint> observed_request;
  std::optional<TimePoint> schedule_checked;    // cron fires for times after this
  std::string schedules;                        // a hash of those that are counted from there
  std::map<std::string, std::string> datasets;  // trigger name -> digest that was last acted on
  MirrorStatus mirror;
};

// What a Model took the place of (spec.serving.adopt), as it was.
struct Adopted {
  std::string deployment, deployment_uid;
  int replicas = 0;
  std::string service_uid;  // of the Service of the Model's name; empty: there was none
  RawJson service = "{}";   // its {"managedBy", "ports", "selector"}
  std::string phase;        // Serving | Replacing | Replaced | Returning | Returned
  // Replacing: that callers reach the Model's pods alone. Returning, Returned: of the phase.
  std::optional<TimePoint> since;
  bool operator==(const Adopted&) const = default;
};

struct MonitorStatus {
  enum class State { NoData, Ok, Pending, Breached } state = State::NoData;
  std::string name;
  std::string value;    // decimal, of the last measurement that had one; empty: none had
  std::string version;  // the version that was measured
  std::string message;
  std::optional<TimePoint> since;         // of the state
  std::optional<TimePoint> last_checked;  // of `value`; refreshed with the state, else every few minutes
  std::optional<TimePoint> good_since;    // Breached: good without a break since then
  int attempts = 0;                       // runs that it has started since it last was OK
  std::string rollback;                   // the ModelRollout that takes the Model back for this breach
  bool rollback_made = false;             // it was seen
  // Of a monitor by Jobs: the one that measures, or did last; since when; and whether what it said is taken in.
  std::string job = {};
  std::optional<TimePoint> job_started = {};
  bool job_done = false;
  std::string policy = {}, set = {};  // as of the Monitor
  bool operator==(const MonitorStatus&) const = default;
};

struct ModelStatus {
  int64_t observed_generation = -1;
  std::string phase, message;
  std::vector<Condition> conditions;
  std::string stable_version, candidate_version, rollout;
  std::string stable_digest;  // of the stable version's bits when it became stable
  std::optional<Revision> stable_revision;  // what serves is made of
  std::optional<Served> previous;  // what served before that, to go back to; nothing once somebody has gone back
  std::optional<Pinned> pinned;  // of spec.artifact, where that is a tag
  std::vector<TrafficShare> traffic;
  std::vector<std::string> warm;  // versions that keep their pods without traffic, the last first
  // the spec's intent that was last acted on: its version, a hash of what would make a retry worthwhile, and
  // the generation that brought it
  std::string spec_version, spec_revision;
  int64_t spec_generation = 0;
  std::vector<std::string> spec_authors;  // who changed the spec since it last served as it asks; "": a change that nobody signed
  Intent intent;
  RetrainingStatus retraining;
  std::vector<MonitorStatus> monitors;
  std::optional<Adopted> adopted;
  LifecycleStatus lifecycle;
  AuditStatus audit;
  std::string handled_by;  // status.operator: the installation that handles this Model
  RawJson raw = "{}";  // as stored, to write only on change
};

struct Model {
  ObjectMeta meta;
  std::string operator_class;  // of the installation that is to handle this Model
  std::string track;  // Pinned | Promoted
  std::optional<std::string> version;
  std::optional<Artifact> artifact;
  std::vector<Part> parts;  // of it, by name
  std::optional<std::string> runtime;
  int replicas = 1;  // with autoscaling within its bounds, and 0 where people scaled to that
  struct Autoscaling {
    int min = 1, max = 1;
    RawJson metrics = "[]", behavior;  // of autoscaling/v2; behavior may be empty
  };
  std::optional<Autoscaling> autoscaling;
  std::optional<int> max_surge;  // pods beyond replicas that there may be at any time, over all versions
  RawJson template_overlay;      // PodTemplateSpec or empty
  std::vector<std::string> configmaps;  // that the overlay names, sorted
  bool pin_config = true;
  std::optional<bool> image_volumes;  // ociArtifacts; absent: as the runtime says
  struct Route {
    RawJson parent_refs;  // of Gateway API's HTTPRoute
    std::vector<std::string> hostnames;
    RawJson session_persistence;  // of a rule of it, or empty
    std::optional<FilterRef> retired = {};  // that answers callers once the Model is retired
  };
  std::optional<Route> route;
  std::optional<std::string> adopt;  // the Deployment that served before
  RolloutPolicy rollout;
  std::optional<Retraining> retraining;
  std::vector<Monitor> monitors;
  std::vector<GateSetRef> monitor_sets;  // where else monitors are defined; what comes first wins
  std::optional<Lifecycle> lifecycle;
  struct History {  // how many are kept of what is over, beyond what may be needed again
    int rollouts = 10;
    int versions = 50;
    int runs = 20;
  };
  History history;
  About about;
  ModelStatus status;
  std::string problem;  // the spec could not be read although admission let it pass: why
};

// ---- ModelVersion ----

// What a later run that made the same bits measured of them.
struct Evaluation {
  std::string run;  // name of its Job
  TimePoint at{};
  std::map<std::string, std::string> metrics;
};

struct ModelVersion {
  ObjectMeta meta;
  std::string model;  // spec.modelRef.name
  Artifact artifact;
  std::vector<Part> parts;  // by name
  std::string bits() const { return bits_of(artifact, parts); }
  std::map<std::string, std::string> metrics;
  std::string parent;  // spec.lineage.parent
  LineageFacts lineage;
  std::string changed_by;  // annotation modelops.dev/changed-by
  std::optional<Evaluation> evaluation;  // the newest, in status: spec never changes
  // The figures that gates read.
  const std::map<std::string, std::string>& figures() const { return evaluation ? evaluation->metrics : metrics; }
  std::string phase, message;
  std::string failed_rollout;  // the ModelRollout to it that failed on evidence, if that was the last to end
  bool served = false;         // all traffic was its own at some time
  std::vector<Condition> conditions;
  RawJson status_raw = "{}";
};

// ---- ModelRollout ----

struct Measurement {
  TimePoint at{};
  std::string value;    // decimal, or empty
  std::string verdict;  // Passed | Failed | Inconclusive
};

struct GateStatus {
  std::string name;
  std::string verdict;       // Running | Passed | Failed | Inconclusive
  std::string value;         // of the last measurement that had one
  std::string stable_value;  // versusStable
  int passed = 0, failed = 0, inconclusive = 0;
  std::vector<Measurement> measurements;  // the last few
  std::string message;
  std::optional<TimePoint> started = {};  // when it began, if it is watched and has an initial delay
  bool operator==(const GateStatus&) const = default;
};
inline bool operator==(const Measurement& a, const Measurement& b) {
  return a.at == b.at && a.value == b.value && a.verdict == b.verdict;
}

// A decision to end the rollout, persisted before anything is undone, so that a crash in between cannot
// forget it.
struct Ending {
  std::string phase;  // RolledBack | Aborted | Superseded | Failed
  std::string reason, message;
  TimePoint at{};
  std::string approval = {};  // of ApprovalRejected: the ModelApproval that rejects
};

struct RolloutStatus {
  int64_t observed_generation = -1;
  std::string
      phase;  // Pending | Progressing | Paused | Baking | Succeeded | RolledBack | Aborted | Superseded | Failed
  std::string message;
  std::vector<Condition> conditions;
  std::string from_version;
  int attempt = 0;  // how often a step was tried again; the Jobs and questions of gates are named after it
  std::string digest, from_digest;  // of the bits of both versions when it started
  std::string spec_hash;            // of the Model's spec.rollout when it started
  std::optional<Revision> revision, from_revision;  // what the rollout moves to and from
  int step_index = 0, step_count = 0;  // 1-based; 0 before the first; count + 1 while going to 100
  int stable_weight = 100, candidate_weight = 0;
  std::vector<GateStatus> gates;
  std::optional<TimePoint> started, finished;
  std::optional<TimePoint> step_started;  // moved forward by the length of pauses that a person made
  std::optional<TimePoint> mirroring_since;  // Shadow: the gateways can, and the candidate is to get copies
  std::optional<TimePoint> mirrored_since;   // the gateways have taken that up: it gets them
  std::optional<TimePoint> baking_since;  // at 100 % and under watch; moved forward like step_started
  std::optional<TimePoint> waiting_since;  // pods or the route are missing: the deadline counts from here
  int64_t step_generation = 0;  // metadata.generation when the step began, or when it paused
  std::optional<TimePoint> observed_resume;  // the resumeRequestedAt that was acted on last
  // desiredState when the step began or when it paused by itself, or Paused once that was seen since: Running then
  // goes on. Empty in a status of an operator that did not write it.
  std::string observed_state;
  std::optional<TimePoint>
      paused_at;             // desiredState: Paused, or a pause by failure or inconclusive gates, since then
  std::string pause_reason;  // empty, Requested or what else would have failed it: GateFailed, GateInconclusive, …
  std::string pause_message;  // of a pause by itself
  std::optional<RolloutPolicy> policy;  // the snapshot
  std::vector<std::string> cluster_gates;  // of it, by name
  std::optional<GovernanceRecord> governance;  // absent: no ModelPolicy held when it started
  std::optional<AwaitedApproval> approval;     // set while it waits for people's approval
  std::optional<Ending> ending;
  RawJson raw = "{}";
};

// Of one that is over, and whose last spec was observed, status keeps only what decisions still read: phase, message, from_version,
// ending and times. Its policy, gates and conditions stay in the API server alone.
struct ModelRollout {
  ObjectMeta meta;
  std::string model, version;
  std::string revision;       // of the version; empty: what Model and ModelRuntime ask for
  std::string desired_state;  // empty is Running
  std::optional<TimePoint> resume_requested_at;  // each new value goes on once
  // label modelops.dev/origin: spec | retraining | monitor | kubectl-model | argocd; empty: a person or a pipeline wrote it
  std::string origin;
  std::string changed_by;       // annotation modelops.dev/changed-by
  std::string steered_by;       // annotation modelops.dev/steered-by
  bool generated_name = false;  // by metadata.generateName: no file holds an object of this name
  RolloutStatus status;
  std::string problem;
};

// ---- ModelRuntime ----

// How an edit reaches the Models that follow.
struct RuntimeUpdate {
  bool automatic = false;  // or with each Model's next rollout
  int max_concurrent = 5;  // Models at once
  int max_failures = 1;    // so many that did not get there stop it
};

struct RuntimeStatus {
  std::vector<std::string> rolling;  // Models ("namespace/name") that may roll out what the runtime says now, or do so
  std::vector<Condition> conditions;
  RawJson raw = "{}";  // as stored, to write only on change
};

struct ModelRuntime {
  ObjectMeta meta;
  std::vector<Format> formats;
  int priority = 0;
  int port = 8080;
  std::optional<int> metrics_port;
  std::string metrics_path = "/metrics";
  std::string protocol;
  bool image_volumes = false;  // ociArtifacts: the kubelet brings what lies in registries
  RawJson pod_template;
  std::vector<std::string> configmaps;  // that the template names, sorted
  RuntimeUpdate update;
  RuntimeStatus status;
};

// ---- ModelGateSet and ClusterModelGateSet ----

struct GateSet {
  ObjectMeta meta;
  std::vector<Gate> gates;
  std::vector<Monitor> monitors;
  RawJson raw = "{}";   // spec as it was read
  std::string problem;  // it could not be read although admission let it pass: why

  const Gate* gate(const std::string& name) const;
};
struct ModelGateSet : GateSet {};
struct ClusterModelGateSet : GateSet {};

// ---- ModelAudit ----

// Metadata only: that it is there. Its name says which records it holds.
struct ModelAudit {
  ObjectMeta meta;
  std::string model;     // from our label
  std::string exported;  // annotation modelops.dev/exported; empty: it was not exported
  std::string installation;  // annotation modelops.dev/installation: which one made it; empty: one that did not say so yet
};

}  // namespace mo::api
