// The result of a reconciler: writes, asks, and the requeue time. Plans do nothing themselves.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "operator/core/decimal.h"
#include "operator/core/ids.h"
#include "operator/core/time.h"

namespace mo {

using RawJson = std::string;  // one complete, compact JSON value

// Server-side apply with our field manager. `uid` empty: the object must not exist yet; the executor
// then sees to it that one which does answers 409, instead of being taken over or, by a write that comes
// late, turned back. `uid` set: applied with force to exactly that object, as it was seen: a leader that was
// stopped in between must not turn back what another has done since.
struct Apply {
  ObjectRef target;
  RawJson body;
  std::string uid;
  std::string hash;  // of the body; the executor remembers it as what this object was last given
  std::string why;
  std::string resource_version = {};  // empty with `uid`
  bool post = false;  // `uid` empty: made by POST, for which the right to create is enough
  std::string collection = {};  // of a Kind::Workload: where it is made by POST; one that is there already stays as it is
};

// Sets spec.replicas of exactly that Deployment, as it was seen, and nothing else.
struct Scale {
  ObjectRef target;
  std::string uid;
  int replicas = 0;
  std::string why;
  std::string resource_version = {};
};

// Deletes exactly that object, its dependents in the background; with `resource_version` only if it is still
// as it was seen, for what may be needed again by then.
struct Delete {
  ObjectRef target;
  std::string uid;
  std::string why;
  std::string resource_version = {};
  std::string collection = {};  // of a Kind::Workload
};

inline constexpr Duration kLongestPatience = std::chrono::minutes(5);

// Replaces the status by PUT on the status subresource, with UID and resourceVersion as preconditions: a
// decision taken on an older state is refused with 409.
struct WriteStatus {
  ObjectRef target;
  std::string uid;
  std::string resource_version;
  RawJson status;
  std::string why;
  // Nothing hangs on it but what people see of counts: the executor holds it back until the last write of
  // this status is `patience` old (at most kLongestPatience). The plan then comes again.
  bool may_wait = false;
  Duration patience = std::chrono::seconds(5);
};

// Leaves exactly that object, as it was seen, with these finalizers, whoever put them there.
struct SetFinalizers {
  ObjectRef target;
  std::string uid;
  std::vector<std::string> finalizers;
  std::string why;
  std::string resource_version;
};

using Action = std::variant<Apply, Scale, Delete, WriteStatus, SetFinalizers>;

// An Event on the object, deduplicated by the executor.
struct Event {
  ObjectRef regarding;
  std::string uid;
  bool warning = false;
  std::string reason;  // CamelCase
  std::string note;    // a sentence
};

// Questions that need I/O. The worker loop hands them to the evidence module; the answer comes back in a later
// Observed under the same id.
struct AskPrometheus {
  std::string query;                        // the candidate's value
  std::optional<std::string> stable_query;  // versusStable
  std::optional<std::string> samples_query;
  std::optional<std::string> stable_samples_query = {};
};
struct AskConfigMap {  // a quorum read of one key
  ObjectKey configmap;
  std::string key;
};
struct AskConfig {  // a quorum read of all that a ConfigMap holds
  ObjectKey configmap;
};
struct AskRunResult {  // what the pods of this Job said when they ended: a quorum list of pods, then of a
                       // ConfigMap if they name one
  ObjectKey job;
  std::string job_uid;
};
struct AskWeb {  // a number out of the JSON at an address
  std::string url, path;
  bool of_cluster = false;  // a ClusterModelGateSet says so, which the cluster's admin writes; else whoever writes to the Model's namespace
};
struct AskGateways {  // whether these can do what a feature of that name is (GatewayClass.status.supportedFeatures)
  std::vector<ObjectKey> gateways;
  std::string feature;  // "HTTPRouteRequestMirror"
};
struct AskAdopted {  // quorum reads of what a Model takes the place of, and of who else leads callers there
  ObjectKey deployment, service;
};
struct AskApprovals {  // quorum reads of whether admission guards ModelApprovals, and of those that name this ModelRollout
  ObjectKey rollout;
};
struct AskOutside {  // what is behind an address outside of the cluster, as a word that is another once that is
  enum class What { Http, OciTag, MlflowAlias } what = What::Http;
  std::string address;       // a URL; of OciTag registry/repository:tag
  std::string model, alias;  // MlflowAlias
};
struct AskWorkload {  // an object of a kind that only a Model's spec knows
  std::string collection;  // "/apis/jobset.x-k8s.io/v1alpha2/namespaces/ns/jobsets"
  std::string api_version, kind, resource, ns, name;
  std::string success, failure;  // CEL; both empty: whether it is there is all that is asked
  std::string result_pods;       // a label selector, or
  std::string result;            // CEL that gives the RunResult's text
};
struct AskQueue {  // why Kueue has not admitted a Job
  ObjectKey job;
  std::string job_uid;
};
struct Ask {
  std::string id;  // unique over all Models; the same id is never asked twice while its answer is kept
  std::variant<AskPrometheus, AskConfigMap, AskConfig, AskRunResult, AskWeb, AskGateways, AskAdopted, AskApprovals, AskOutside, AskWorkload, AskQueue> question;
};

// One PromQL answer: a finite number, or why there is none ("no data", "NaN", "the query returned 3 series",
// "cannot reach Prometheus: …").
struct Reading {
  std::optional<Decimal> value;
  std::string problem;  // empty when there is a value
};
struct Answer {
  TimePoint at{};
  Reading value, stable, samples, stable_samples;  // AskPrometheus; AskWeb: value
  // AskConfigMap: the key's text. AskConfig: {"binaryData": {…}, "data": {…}}, or null if there is no such ConfigMap.
  // AskRunResult: the RunResult's JSON text, unchecked. AskGateways: the feature, all can. AskAdopted: {"deployment", "service"},
  // each as evidence::adopted_words says or null, and "others", the names of further Services that select the Deployment's pods.
  // AskApprovals: {"problem": why nobody guards them, or "", "uids": of the ModelApprovals that there are}.
  // AskWorkload: as evidence::workload_status says.
  // AskQueue: why, as evidence::queue_reason says, or empty.
  // AskOutside: an ETag's or body's hash, a manifest's digest, or a version of MLflow: evidence::Outside says which.
  std::optional<std::string> text;
  std::string problem = {};  // why `text` is missing, for people
};

struct Plan {
  std::vector<Action> actions;  // in order; the first error ends the run. Every prefix must be safe: a crash
                                // can end it anywhere
  std::vector<Event> events;    // sent after the actions
  std::vector<Ask> asks;
  bool at_once = false;  // once all is carried out, which the watch does not tell
  std::optional<Duration> requeue_after;  // whatever became of the actions that were refused
  std::vector<ObjectKey> others;  // that look at what these actions write: our own writes wake nobody
};

}  // namespace mo
