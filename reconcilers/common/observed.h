// The snapshot of one Model and its objects at one moment: the input of every decision. Immutable.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "operator/api/policies.h"
#include "operator/api/training_run.h"
#include "operator/api/types.h"
#include "operator/core/plan.h"
#include "operator/store/refusals.h"
#include "reconcilers/common/names.h"

namespace mo {

template <class T>
using Ref = std::shared_ptr<const T>;

// One of our objects, and whether it was changed by others.
template <class T>
struct Owned {
  Ref<T> object;
  std::string applied;  // hash of the applied body; "" if somebody changed the object since
};

// Another Model with the same hostname on the same Gateway and an older HTTPRoute: the Gateway sends all requests to that one.
struct RouteRival {
  ObjectKey model;
  std::string hostname;  // *: neither names any
};

struct Observed {
  ObjectKey key;
  Ref<api::Model> model;                         // null: there is no such Model (any more)
  std::vector<Ref<api::ModelVersion>> versions;  // whose modelRef names this Model
  std::map<std::string, Ref<api::ModelVersion>>
      named;  // each version that the Model or a rollout names, whoever's it is
  std::vector<Ref<api::ModelRollout>> rollouts;               // whose modelRef names this Model
  std::vector<Ref<api::TrainingRun>> runs;                    // whose modelRef names this Model
  std::map<std::string, std::string> promoted;                // Models that triggers name -> the version that serves there
  std::vector<Ref<api::ModelRuntime>> runtimes;               // all
  std::map<ObjectRef, Ref<api::GateSet>> gate_sets;           // those that the Model names
  bool cluster_gate_sets_denied = false;                      // the operator may not read ClusterModelGateSets
  std::vector<Ref<api::ModelPolicy>> policies;                // that are for this Model, by name
  std::vector<Ref<api::ModelApproval>> approvals;             // whose modelRef names this Model
  std::set<std::string> audits;                               // names of the ModelAudits of a Model of this name
  std::vector<Ref<api::ModelAudit>> audit_objects;            // the same as they are
  bool audits_denied = false;                                 // the operator may not read ModelAudits
  std::optional<Duration> audits_kept;                        // at least, as the ModelPolicies for this Model say
  std::optional<Duration> others_audits_kept;                 // the longest of any ModelPolicy, for deleted Models of this name, whose policies are unknown
  std::map<std::string, Owned<api::Deployment>> deployments;  // by name, only those that this Model owns
  std::map<std::string, Owned<api::Service>> services;
  std::map<std::string, Owned<api::HttpRoute>> routes;
  std::vector<Ref<api::EndpointSlice>> slices;  // of those Services, where there is a route
  std::map<std::string, Owned<api::Autoscaler>> autoscalers;
  std::map<std::string, Ref<api::Job>> jobs;  // of this Model and of its runs
  std::map<std::string, Ref<api::Job>> mirror_jobs;  // that tell a registry what serves
  std::vector<Ref<api::Pod>> pods;      // that serve, or may
  std::vector<Ref<api::Pod>> job_pods;  // of its Jobs
  std::map<std::string, std::string>
      configmaps;  // those that dataset triggers, artifacts and pod templates name -> resourceVersion
  std::vector<Ref<api::ConfigMap>> copies;  // of ConfigMaps, pinned for this Model's versions, the oldest first
  std::map<std::string, Answer> answers;  // by Ask::id
  std::vector<Refusal> refusals;
  std::optional<RouteRival> rival;

  Ref<api::ModelVersion> version(const std::string& name) const {
    auto it = named.find(name);
    return it == named.end() ? nullptr : it->second;
  }

  // The name of the ModelVersion with this digest, existing or new. The short name may belong to a digest with the same prefix.
  std::string version_name(const std::string& digest) const {
    const std::string name = version_name_for(key.name, digest), longer = long_version_name_for(key.name, digest);
    if (const auto record = version(name)) return record->bits() == digest ? name : longer;
    const auto record = version(longer);
    return record && record->bits() == digest ? longer : name;
  }

  // The last to end of the rollouts to that version.
  Ref<api::ModelRollout> last_rollout(const std::string& version) const {
    Ref<api::ModelRollout> last;
    for (const auto& rollout : rollouts)
      if (rollout->version == version && rollout->status.finished &&
          (!last || *last->status.finished <= *rollout->status.finished))
        last = rollout;
    return last;
  }
};

}  // namespace mo
