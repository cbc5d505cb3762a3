// What a Model names that is not its own: the one list of it. The index that wakes Models and the simulator go by it, and what
// reconcilers/model/observe.cpp puts into a snapshot has to be in it.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "operator/store/store.h"

namespace mo {

// ConfigMaps of retraining triggers and of the pod template, gate sets; a hostname counts as an HTTPRoute of that name.
std::set<ObjectRef> references_of(const api::Model& model);
// The ConfigMaps of its artifact and parts.
std::set<ObjectRef> references_of(const api::ModelVersion& version);
// Whether the runtime's template names this ConfigMap, of the namespace of each Model that it serves.
bool names(const api::ModelRuntime& runtime, const std::string& configmap);
// The Models that have to look again when this object changes, whoever's it is. Looks at all Models: for tests of the index, and where
// there are few.
std::set<ObjectKey> concerned_by(const Stores& stores, const ObjectRef& changed);

// The Model that a key of models_of() stands for: itself, or that of the rollout which a ModelApproval names. No name if nobody knows that one.
ObjectKey model_behind(const Stores& stores, const ObjectKey& key);

// Which Models name an object that is not theirs (a ConfigMap in a retraining trigger, their pod template or the artifact of a version, a
// gate set), so that its change need not look at every Model. A hostname counts as an HTTPRoute of that name: who shares it is
// found that way. Thread-safe.
class ReferenceIndex {
 public:
  void update(const api::Model& model, bool removed);
  void update(const api::ModelVersion& version, bool removed);
  std::vector<ObjectKey> models_of(const ObjectRef& named) const;
  // Other Models that want requests for one of this one's hostnames.
  std::set<ObjectKey> share_hostname(const api::Model& model) const;

 private:
  void update(const ObjectRef& holder, const ObjectKey& model, const std::set<ObjectRef>& wanted);

  mutable std::mutex mutex_;
  std::map<ObjectRef, std::map<ObjectRef, ObjectKey>> models_;  // by what is named: who names it (a Model, a version), for which Model
  std::map<ObjectRef, std::set<ObjectRef>> named_;              // by who names it
};

}  // namespace mo
