#include "operator/store/store.h"

#include "operator/store/ledger.h"

namespace mo {
namespace {
std::vector<ObjectKey> one(const std::string& ns, const std::string& model) {
  if (model.empty()) return {};
  return {ObjectKey{ns, model}};
}
}  // namespace

std::vector<ObjectKey> models_of(const api::Model& o) { return {o.meta.key}; }
std::vector<ObjectKey> models_of(const api::ModelVersion& o) { return one(o.meta.key.ns, o.model); }
std::vector<ObjectKey> models_of(const api::ModelRollout& o) { return one(o.meta.key.ns, o.model); }
std::vector<ObjectKey> models_of(const api::TrainingRun& o) { return one(o.meta.key.ns, o.model); }
std::vector<ObjectKey> models_of(const api::ModelRuntime&) { return {}; }
std::vector<ObjectKey> models_of(const api::GateSet&) { return {}; }
std::vector<ObjectKey> models_of(const api::ModelPolicy&) { return {}; }
ObjectKey approvals_key(const ObjectKey& rollout) { return {rollout.ns, "rollout/" + rollout.name}; }
std::vector<ObjectKey> models_of(const api::ModelApproval& o) { return {approvals_key({o.meta.key.ns, o.rollout})}; }
std::vector<ObjectKey> models_of(const api::ModelAudit& o) { return one(o.meta.key.ns, o.model); }
std::vector<ObjectKey> models_of(const api::Namespace&) { return {}; }
std::vector<ObjectKey> models_of(const api::Deployment& o) { return one(o.meta.key.ns, o.model); }
std::vector<ObjectKey> models_of(const api::Service& o) { return one(o.meta.key.ns, o.model); }
std::vector<ObjectKey> models_of(const api::HttpRoute& o) { return one(o.meta.key.ns, o.model); }
std::vector<ObjectKey> models_of(const api::EndpointSlice& o) { return one(o.meta.key.ns, o.model); }
std::vector<ObjectKey> models_of(const api::Autoscaler& o) { return one(o.meta.key.ns, o.model); }
std::vector<ObjectKey> models_of(const api::Job& o) { return one(o.meta.key.ns, o.model); }
std::vector<ObjectKey> models_of(const api::Pod& o) { return one(o.meta.key.ns, o.model.empty() ? o.job_of : o.model); }
std::vector<ObjectKey> models_of(const api::ConfigMap& o) {
  return one(o.meta.key.ns, o.copy ? o.copy->model : "");
}

void Ledger::record(const std::string& uid, const std::string& applied, const std::string& stored) {
  std::lock_guard lock(mutex_);
  entries_[uid] = Entry{applied, stored};
}

std::string Ledger::agrees_with(const std::string& uid, const std::string& annotation,
                                const std::string& stored, bool foreign_manager) {
  std::lock_guard lock(mutex_);
  auto it = entries_.find(uid);
  if (it == entries_.end()) {
    if (foreign_manager) return "";
    entries_[uid] = Entry{annotation, stored};
    return annotation;
  }
  return it->second.stored == stored && it->second.applied == annotation ? it->second.applied : "";
}

void Ledger::forget(const std::string& uid) {
  std::lock_guard lock(mutex_);
  entries_.erase(uid);
}

}  // namespace mo
