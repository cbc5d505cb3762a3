#include "reconcilers/model/observe.h"

#include <algorithm>
#include <tuple>

#include "reconcilers/common/names.h"
#include "reconcilers/governance/policies.h"
#include "reconcilers/model/intent.h"
#include "reconcilers/serving/route.h"

namespace mo::model {
namespace {

// The Service that the Model took over stays without an owner, to be there when the Model is gone.
bool adopted(const Observed& o, const std::string& uid) {
  return o.model->status.adopted && !uid.empty() && o.model->status.adopted->service_uid == uid;
}

template <class T>
void take_owned(const Store<T>& store, Ledger& ledger, const Observed& o,
                std::map<std::string, Owned<T>>& into) {
  for (const auto& object : store.of_model(o.key)) {
    if (object->meta.controller_uid != o.model->meta.uid && !adopted(o, object->meta.uid)) continue;  // labelled like ours, but not ours
    into[object->meta.key.name] = {
        object, ledger.agrees_with(object->meta.uid, object->applied_hash, object->spec_hash,
                                   object->foreign_spec_manager)};
  }
}

void take_named(const Stores& stores, Observed& o) {
  const auto take = [&](const std::string& name) {
    if (name.empty() || o.named.count(name)) return;
    if (auto version = stores.versions.get({o.key.ns, name})) o.named[name] = version;
  };
  for (const auto& rollout : o.rollouts) take(rollout->version);
  for (const auto& version : o.versions) take(version->meta.key.name);
  if (!o.model) return;
  if (o.model->version) take(*o.model->version);
  if (o.model->artifact) {
    const std::string bits = api::bits_of(*o.model->artifact, o.model->parts);
    take(version_name_for(o.key.name, bits));
    take(long_version_name_for(o.key.name, bits));
  }
  take(o.model->status.stable_version);
  take(o.model->status.intent.version);
}

// The ConfigMaps that dataset triggers, artifacts and pod templates name.
void take_configmaps(const Stores& stores, Observed& o) {
  const auto take = [&](const std::string& name) {
    if (auto configmap = stores.configmaps.get({o.key.ns, name}))
      o.configmaps[name] = configmap->meta.resource_version;
  };
  for (const auto& [name, version] : o.named)
    for (const std::string& configmap : api::artifact_configmaps(version->artifact, version->parts)) take(configmap);
  for (const std::string& name : o.model->configmaps) take(name);
  for (const auto& runtime : o.runtimes)
    for (const std::string& name : runtime->configmaps) take(name);
  if (!o.model->retraining) return;
  for (const api::Trigger& trigger : o.model->retraining->triggers)
    if (trigger.dataset) take(trigger.dataset->name);
}

void take_promoted(const Stores& stores, Observed& o) {
  if (!o.model->retraining) return;
  for (const api::Trigger& trigger : o.model->retraining->triggers) {
    if (!trigger.model) continue;
    if (const auto other = stores.models.get({o.key.ns, *trigger.model})) o.promoted[*trigger.model] = other->status.stable_version;
  }
}

// A run owns the Jobs of its stages, so that they go with it.
void take_jobs(const Stores& stores, Observed& o) {
  for (const auto& job : stores.jobs.of_model(o.key)) {
    const std::string& owner = job->meta.controller_uid;
    const bool of_run = std::any_of(o.runs.begin(), o.runs.end(), [&](const auto& run) { return run->meta.uid == owner; });
    if (!job->mirror_of.empty()) {
      if (owner == o.model->meta.uid) o.mirror_jobs[job->meta.key.name] = job;
    } else if (owner == o.model->meta.uid || of_run) {
      o.jobs[job->meta.key.name] = job;
    }
  }
}

void take_gate_sets(const Stores& stores, Observed& o) {
  o.cluster_gate_sets_denied = stores.cluster_gate_sets.denied();
  const auto take = [&](const ObjectRef& ref) {
    Ref<api::GateSet> set;
    if (ref.kind == Kind::ModelGateSet)
      set = stores.gate_sets.get(ref.key);
    else
      set = stores.cluster_gate_sets.get(ref.key);
    if (set) o.gate_sets[ref] = std::move(set);
  };
  for (const auto* named : {&o.model->rollout.gate_sets, &o.model->monitor_sets})
    for (const api::GateSetRef& set : *named) take(set.from(o.key.ns));
}

void take_policies(const Stores& stores, Observed& o) {
  const auto ns = stores.namespaces.get({"", o.key.ns});
  for (auto& policy : stores.policies.all()) {
    if (!governance::applies(*policy, *o.model, ns.get())) continue;
    const bool unknown = policy->namespace_selector && !ns;
    o.policies.push_back(unknown ? governance::undecided(policy, o.key.ns, stores.namespaces.denied()) : std::move(policy));
  }
  if (o.policies.empty()) return;
  std::sort(o.policies.begin(), o.policies.end(), [](const auto& a, const auto& b) { return a->meta.key.name < b->meta.key.name; });
}

void take_audits(const Stores& stores, Observed& o) {
  o.audits_denied = stores.audits.denied();
  o.audit_objects = stores.audits.of_model(o.key);
  for (const auto& audit : o.audit_objects) o.audits.insert(audit->meta.key.name);
  if (o.audit_objects.empty()) return;
  const auto longest = [](const auto& policies) {
    std::optional<Duration> kept;
    for (const auto& policy : policies)
      if (policy->keep_audits) kept = std::max(*policy->keep_audits, kept.value_or(Duration(0)));
    return kept;
  };
  o.audits_kept = longest(o.policies);
  o.others_audits_kept = longest(stores.policies.all());
}

// A Service that was made anew has nothing of the one before it.
void take_slices(const Stores& stores, Observed& o) {
  for (auto& slice : stores.slices.of_model(o.key)) {
    const auto service = o.services.find(slice->service);
    if (service != o.services.end() && service->second.object->meta.uid == slice->meta.controller_uid)
      o.slices.push_back(std::move(slice));
  }
}

void take_copies(const Stores& stores, Observed& o) {
  for (const auto& configmap : stores.configmaps.of_model(o.key))
    if (configmap->meta.controller_uid == o.model->meta.uid) o.copies.push_back(configmap);
  std::stable_sort(o.copies.begin(), o.copies.end(),
                   [](const auto& a, const auto& b) { return a->meta.created < b->meta.created; });
}

// Of the Models that want requests for the same hostname the one whose HTTPRoute is the oldest gets them all.
void take_rival(const Stores& stores, Observed& o) {
  if (!o.model->route) return;
  const auto age = [&](const api::Model& model) {
    const auto route = stores.routes.get(model.meta.key);
    return std::tuple(route ? route->meta.created : TimePoint::max(), model.meta.created, model.meta.key);
  };
  auto first = age(*o.model);
  for (const auto& other : stores.models.all()) {
    if (!other->route || other->meta.deleting || other->meta.key == o.key) continue;
    const auto hostname = serving::shared_hostname(*o.model, *other);
    if (!hostname || age(*other) >= first) continue;
    first = age(*other);
    o.rival = RouteRival{other->meta.key, *hostname};
  }
}

}  // namespace

Observed observe(const Stores& stores, Ledger& ledger, const AnswerBook& answers, const Refusals& refusals,
                 const ObjectKey& key) {
  Observed o;
  o.key = key;
  o.model = with_pinned(stores.models.get(key));
  o.versions = stores.versions.of_model(key);
  o.rollouts = stores.rollouts.of_model(key);
  o.runs = stores.runs.of_model(key);
  // Those that a deleted Model of the same name left to the garbage collector tell nothing of this one.
  const auto of_another = [&](const auto& r) {
    return !r->meta.controller_uid.empty() && r->meta.controller_uid != o.model->meta.uid;
  };
  if (o.model) {
    std::erase_if(o.rollouts, of_another);
    std::erase_if(o.runs, of_another);
  }
  take_named(stores, o);
  if (!o.model) return take_audits(stores, o), o;
  o.runtimes = stores.runtimes.all();
  take_gate_sets(stores, o);
  take_policies(stores, o);
  for (const auto& rollout : o.rollouts)
    for (auto& approval : stores.approvals.of_model(approvals_key(rollout->meta.key))) o.approvals.push_back(std::move(approval));
  take_audits(stores, o);
  take_owned(stores.deployments, ledger, o, o.deployments);
  take_owned(stores.services, ledger, o, o.services);
  take_owned(stores.routes, ledger, o, o.routes);
  if (o.model->route || o.model->adopt) take_slices(stores, o);
  take_owned(stores.autoscalers, ledger, o, o.autoscalers);
  take_jobs(stores, o);
  for (auto& pod : stores.pods.of_model(key)) (pod->model.empty() ? o.job_pods : o.pods).push_back(std::move(pod));
  take_configmaps(stores, o);
  take_promoted(stores, o);
  take_copies(stores, o);
  take_rival(stores, o);
  o.answers = answers.of(key);
  o.refusals = refusals.of(key);
  return o;
}

}  // namespace mo::model
