#include "operator/store/references.h"

#include <algorithm>

namespace mo {
namespace {

std::set<ObjectRef> hostnames_of(const api::Model& model) {
  std::set<ObjectRef> named;
  if (!model.route) return named;
  for (const std::string& host : model.route->hostnames) named.insert({Kind::HttpRoute, {"", host}});
  if (named.empty()) named.insert({Kind::HttpRoute, {"", "*"}});
  return named;
}

}  // namespace

std::set<ObjectRef> references_of(const api::Model& model) {
  std::set<ObjectRef> named = hostnames_of(model);
  for (const std::string& name : model.configmaps) named.insert({Kind::ConfigMap, {model.meta.key.ns, name}});
  if (model.retraining)
    for (const auto& trigger : model.retraining->triggers) {
      if (trigger.dataset) named.insert({Kind::ConfigMap, {model.meta.key.ns, trigger.dataset->name}});
      if (trigger.model) named.insert({Kind::Model, {model.meta.key.ns, *trigger.model}});
    }
  for (const auto* sets : {&model.rollout.gate_sets, &model.monitor_sets})
    for (const api::GateSetRef& set : *sets) named.insert(set.from(model.meta.key.ns));
  return named;
}

std::set<ObjectRef> references_of(const api::ModelVersion& version) {
  std::set<ObjectRef> named;
  for (const std::string& configmap : api::artifact_configmaps(version.artifact, version.parts))
    named.insert({Kind::ConfigMap, {version.meta.key.ns, configmap}});
  return named;
}

bool names(const api::ModelRuntime& runtime, const std::string& configmap) {
  return std::binary_search(runtime.configmaps.begin(), runtime.configmaps.end(), configmap);
}

ObjectKey model_behind(const Stores& stores, const ObjectKey& key) {
  const size_t slash = key.name.find('/');
  if (slash == std::string::npos) return key;
  const auto rollout = stores.rollouts.get({key.ns, key.name.substr(slash + 1)});
  return rollout ? ObjectKey{key.ns, rollout->model} : ObjectKey{};
}

std::set<ObjectKey> concerned_by(const Stores& stores, const ObjectRef& changed) {
  std::set<ObjectKey> models;
  const auto runtimes = stores.runtimes.all();
  const bool by_runtime = changed.kind == Kind::ConfigMap && std::any_of(runtimes.begin(), runtimes.end(), [&](const auto& runtime) {
    return names(*runtime, changed.key.name);
  });
  for (const auto& model : stores.models.all()) {
    const bool everybody = changed.kind == Kind::ModelRuntime || changed.kind == Kind::ModelPolicy || (by_runtime && model->meta.key.ns == changed.key.ns);
    if (everybody || references_of(*model).count(changed)) models.insert(model->meta.key);
  }
  if (const auto model = changed.kind == Kind::Model ? stores.models.get(changed.key) : nullptr)
    for (const ObjectRef& host : hostnames_of(*model))
      for (const auto& other : stores.models.all())
        if (hostnames_of(*other).count(host)) models.insert(other->meta.key);
  for (const auto& version : stores.versions.all())
    if (references_of(*version).count(changed)) models.insert({version->meta.key.ns, version->model});
  return models;
}

void ReferenceIndex::update(const api::Model& model, bool removed) {
  update({Kind::Model, model.meta.key}, model.meta.key, removed ? std::set<ObjectRef>{} : references_of(model));
}

void ReferenceIndex::update(const api::ModelVersion& version, bool removed) {
  update({Kind::ModelVersion, version.meta.key}, {version.meta.key.ns, version.model},
         removed ? std::set<ObjectRef>{} : references_of(version));
}

void ReferenceIndex::update(const ObjectRef& holder, const ObjectKey& model, const std::set<ObjectRef>& wanted) {
  std::lock_guard lock(mutex_);
  auto held = named_.find(holder);
  if (held == named_.end() && wanted.empty()) return;
  if (held != named_.end()) {
    for (const ObjectRef& named : held->second) {
      auto holders = models_.find(named);
      holders->second.erase(holder);
      if (holders->second.empty()) models_.erase(holders);
    }
    named_.erase(held);
  }
  for (const ObjectRef& named : wanted) models_[named].emplace(holder, model);
  if (!wanted.empty()) named_.emplace(holder, wanted);
}

std::vector<ObjectKey> ReferenceIndex::models_of(const ObjectRef& named) const {
  std::lock_guard lock(mutex_);
  auto it = models_.find(named);
  if (it == models_.end()) return {};
  std::set<ObjectKey> models;
  for (const auto& [holder, model] : it->second) models.insert(model);
  return {models.begin(), models.end()};
}

std::set<ObjectKey> ReferenceIndex::share_hostname(const api::Model& model) const {
  std::set<ObjectKey> others;
  for (const ObjectRef& host : hostnames_of(model))
    for (const ObjectKey& other : models_of(host))
      if (other != model.meta.key) others.insert(other);
  return others;
}

}  // namespace mo
