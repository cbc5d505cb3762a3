// Kinds of Kubernetes' own that the operator writes and watches, as far as it looks at them. Values.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/meta.h"

namespace mo::api {

struct HeaderMatch {
  std::string name, value;
  bool regular_expression = false;
  bool operator==(const HeaderMatch&) const = default;
};

struct Deployment {
  ObjectMeta meta;
  std::string model, version, revision;  // from our labels
  int replicas = 0;            // spec
  int64_t observed_generation = 0;
  int status_replicas = 0, updated_replicas = 0, ready_replicas = 0, available_replicas = 0;
  std::string progressing_reason;  // condition Progressing
  std::string replica_failure;     // message of condition ReplicaFailure: quota, admission, accounts
  std::string applied_hash;        // our annotation
  std::string spec_hash;           // of spec without replicas, as stored
  bool foreign_spec_manager =
      false;  // somebody else owns a field of spec (other than replicas through /scale or status)
};

struct Service {
  ObjectMeta meta;
  std::string model;
  std::map<std::string, std::string> selector;
  std::string applied_hash, spec_hash;
  bool foreign_spec_manager = false;
  std::optional<TimePoint> applied_at;  // when we last changed it, by the API server's clock
};

// The rules of ours that a Model's route has, and what its gateways made of it.
struct HttpRoute {
  ObjectMeta meta;
  std::string model;
  // of the rule for everybody
  std::map<std::string, int> weights;  // by Service
  bool mirrored = false;               // some Service gets copies
  std::vector<HeaderMatch> chosen;     // whom the rule is for that comes before it; empty: there is none
  struct Parent {
    std::string name;  // of the Gateway
    bool accepted = false, resolved = true;
    int64_t observed_generation = 0;
    std::string problem;  // in the gateway's words, of the condition that isn't True
  };
  std::vector<Parent> parents;
  std::string sessions_refused;  // hash of the sessionPersistence that it goes without
  std::string applied_hash, spec_hash;
  bool foreign_spec_manager = false;
  std::optional<TimePoint> applied_at;  // when we last changed it, by the API server's clock
};

// Whom requests to a Service reach, so far.
struct EndpointSlice {
  ObjectMeta meta;
  std::string model, service;
  std::vector<std::string> pods;  // that are ready, by name
};

struct Autoscaler {  // a HorizontalPodAutoscaler
  ObjectMeta meta;
  std::string model;
  std::string problem;  // why it cannot scale, in its own words
  std::string applied_hash, spec_hash;
  bool foreign_spec_manager = false;
};

struct Job {
  ObjectMeta meta;
  std::string model;
  bool complete = false, failed = false;
  bool suspended = false;  // spec.suspend: a queue holds it back
  int active = 0;          // pods that are pending or run
  std::string failure_message;  // condition Failed: reason and message
  std::optional<TimePoint> started, finished;
  std::string image;  // of the first container
  std::string gate_of;  // UID of the ModelRollout whose gate it measures; empty: it trains, and a TrainingRun controls it
  std::string gate;     // name of that gate; empty on Jobs of an operator before it was told
  std::string mirror_of;  // UID of the Model of which it tells a registry
};

struct Pod {
  ObjectMeta meta;  // controller_uid: of the ReplicaSet, or of the Job
  std::string model, version, revision;
  std::string template_hash;  // the cluster's own label, on a pod without a revision
  std::string job_of;  // the Model whose Job it belongs to; model is empty then
  bool ready = false;
  bool begun = false;  // some container of it runs, or did
  bool ended = false;  // Succeeded or Failed (evicted, say): a record, which holds no room any more
  // The first thing that keeps it from being ready: "ImagePullBackOff: …", "CrashLoopBackOff: …", the last
  // words of our fetch container.
  std::string problem;
  // Since when it fetches what it serves, as long as no fetch container has had to try again; and when the last of them was done. Where
  // the kubelet mounts artifacts (image volumes): also since when it has a node, until its first container begins.
  std::optional<TimePoint> fetching_since = {}, fetched_at = {};
  bool digest_mismatch = false;  // our fetch container said so
  bool bad_signature = false;    // likewise
};

// Metadata only: which version of a ConfigMap is there. The data is read by AskConfigMap or AskConfig when it is
// wanted.
struct ConfigMap {
  ObjectMeta meta;
  struct Copy {
    std::string model, version, revision;  // whose pods read it
    std::string source;           // the ConfigMap that it is a copy of
    std::string source_version;   // resourceVersion of that one then
  };
  std::shared_ptr<const Copy> copy;  // set if it is one of our copies
};

}  // namespace mo::api
