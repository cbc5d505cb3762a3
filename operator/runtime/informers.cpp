#include "operator/runtime/informers.h"

#include <algorithm>
#include <utility>

#include "operator/runtime/log.h"

namespace mo {

Informers::Informers(kube::Client& client, Stores& stores, Ledger& ledger, WorkQueue& queue,
                     InformerOptions options, Meters meters)
    : client_(client),
      stores_(stores),
      ledger_(ledger),
      queue_(queue),
      options_(std::move(options)),
      meters_(std::move(meters)) {
  watch_ours();
  watch_owned();
}

template <class T>
void Informers::watch(Store<T>& store, WatcherOptions options, typename StoreSink<T>::Changed changed) {
  options.kind = api::KindOf<T>::value;
  if (info(options.kind).namespaced) options.ns = options_.ns;
  options.back_in_time = options_.back_in_time;
  auto sink = std::make_unique<StoreSink<T>>(store, std::move(changed));
  watches_.push_back(Watch{std::make_unique<Watcher>(client_, std::move(options), std::move(sink), meters_),
                           [&store] { return store.synced(); }});
}

void Informers::watch_ours() {
  auto queue_models = [this](const auto& object, bool) {
    for (const ObjectKey& model : models_of(object)) queue_.add(model);
  };
  watch<api::Model>(stores_.models, {}, [this](const api::Model& model, bool removed) {
    references_.update(model, removed);
    queue_.add(model.meta.key);
    queue_who_names({Kind::Model, model.meta.key});  // to be trained anew when this one promotes a version
    // One of them may have the hostname to itself from now on, or no longer.
    for (const ObjectKey& other : references_.share_hostname(model)) queue_.add(other);
    queue_updates();
  });
  watch<api::ModelVersion>(stores_.versions, {}, [this, queue_models](const api::ModelVersion& version, bool removed) {
    references_.update(version, removed);
    queue_models(version, removed);
  });
  watch<api::ModelRollout>(stores_.rollouts, {}, [this, queue_models](const api::ModelRollout& rollout, bool removed) {
    queue_models(rollout, removed);
    queue_updates();
  });
  watch<api::TrainingRun>(stores_.runs, {}, queue_models);
  auto queue_users = [this](const auto& set, bool) {
    queue_who_names({api::KindOf<std::decay_t<decltype(set)>>::value, set.meta.key});
  };
  watch<api::ModelGateSet>(stores_.gate_sets, {}, queue_users);
  WatcherOptions cluster_scoped;
  // A Role cannot grant a cluster-scoped kind.
  cluster_scoped.machine.optional = !options_.ns.empty();
  watch<api::ClusterModelGateSet>(stores_.cluster_gate_sets, cluster_scoped, queue_users);
  watch<api::ModelApproval>(stores_.approvals, {}, [this](const api::ModelApproval& approval, bool) {
    for (const ObjectKey& key : models_of(approval))
      if (const ObjectKey model = model_behind(stores_, key); !model.name.empty()) queue_.add(model);
  });
  watch<api::ModelPolicy>(stores_.policies, cluster_scoped, [this](const api::ModelPolicy&, bool) { queue_all_models(); });
  if (!options_.watch_runtimes) return;
  watch<api::ModelRuntime>(stores_.runtimes, cluster_scoped, [this](const api::ModelRuntime& runtime, bool removed) { on_runtime(runtime, removed); });
}

// Its status names those that may go on: nobody else has to look again for that.
void Informers::on_runtime(const api::ModelRuntime& runtime, bool removed) {
  int64_t& generation = runtime_generations_[runtime.meta.uid];
  if (std::exchange(generation, runtime.meta.generation) != runtime.meta.generation || removed) queue_all_models();
  if (removed) runtime_generations_.erase(runtime.meta.uid);
  if (!options_.update_runtimes) return;
  for (const std::string& model : runtime.status.rolling)
    if (const size_t slash = model.find('/'); slash != std::string::npos) queue_.add({model.substr(0, slash), model.substr(slash + 1)});
  queue_.add(runtime.meta.key);
}

// Of all Models that change together it is looked at once.
void Informers::queue_updates() {
  if (!options_.update_runtimes) return;
  for (const auto& runtime : stores_.runtimes.all())
    if (runtime->update.automatic) queue_.add_after(runtime->meta.key, std::chrono::seconds(1));
}

void Informers::watch_owned() {
  WatcherOptions labelled;
  labelled.label_selector = std::string(api::kLabelManagedBy) + "=" + api::kFieldManager;
  auto queue_models = [this](const auto& object, bool) {
    for (const ObjectKey& model : models_of(object)) queue_.add(model);
  };
  auto queue_and_forget = [this, queue_models](const auto& object, bool removed) {
    if (removed) ledger_.forget(object.meta.uid);
    queue_models(object, removed);
  };
  watch<api::Deployment>(stores_.deployments, labelled, queue_and_forget);
  watch<api::Service>(stores_.services, labelled, queue_and_forget);
  WatcherOptions routes = labelled;
  routes.machine.optional = true;  // a cluster without the Gateway API
  watch<api::HttpRoute>(stores_.routes, routes, queue_and_forget);
  // They bear the labels of their Services. Only where a route gives the weights, or where a Deployment is being replaced, does anybody look at them.
  watch<api::EndpointSlice>(stores_.slices, labelled, [this](const api::EndpointSlice& slice, bool) {
    for (const ObjectKey& key : models_of(slice))
      if (const auto model = stores_.models.get(key); model && (model->route || model->adopt)) queue_.add(key);
  });
  watch<api::Autoscaler>(stores_.autoscalers, labelled, queue_and_forget);
  watch<api::Job>(stores_.jobs, labelled, queue_models);
  watch<api::Pod>(stores_.pods, labelled, queue_models);
  WatcherOptions metadata;
  metadata.metadata_only = true;
  WatcherOptions audits = metadata;
  audits.machine.optional = true;  // an operator that may not look at them seals none
  watch<api::ModelAudit>(stores_.audits, audits, queue_models);
  WatcherOptions namespaces = metadata;
  namespaces.machine.optional = true;  // a Role cannot grant them; then ModelPolicies that ask for their labels say so
  watch<api::Namespace>(stores_.namespaces, namespaces, [this](const api::Namespace& changed, bool) { queue_namespace(changed.meta.key.name); });
  watch<api::ConfigMap>(stores_.configmaps, metadata, [this](const api::ConfigMap& configmap, bool) {
    for (const ObjectKey& model : models_of(configmap)) queue_.add(model);
    queue_who_names({Kind::ConfigMap, configmap.meta.key});
    queue_users_of_runtimes(configmap.meta.key);
  });
}

// Runtimes are few, and those that name a ConfigMap fewer.
void Informers::queue_users_of_runtimes(const ObjectKey& configmap) {
  const auto runtimes = stores_.runtimes.all();
  if (std::none_of(runtimes.begin(), runtimes.end(), [&](const auto& runtime) { return names(*runtime, configmap.name); })) return;
  for (const auto& model : stores_.models.all())
    if (model->meta.key.ns == configmap.ns) queue_.add(model->meta.key);
}

// Where some ModelPolicy asks for labels of Namespaces.
void Informers::queue_namespace(const std::string& name) {
  const auto policies = stores_.policies.all();
  if (std::none_of(policies.begin(), policies.end(), [](const auto& policy) { return policy->namespace_selector.has_value(); })) return;
  for (const auto& model : stores_.models.all())
    if (model->meta.key.ns == name) queue_.add(model->meta.key);
}

void Informers::queue_who_names(const ObjectRef& named) {
  for (const ObjectKey& model : references_.models_of(named)) queue_.add(model);
}

void Informers::queue_all_models() {
  for (const auto& model : stores_.models.all()) queue_.add(model->meta.key);
}

void Informers::start(std::stop_token stop) {
  for (Watch& watch : watches_)
    threads_.emplace_back([&watch, stop](std::stop_token own) {
      std::stop_source either;
      std::stop_callback on_stop(stop, [&] { either.request_stop(); });
      std::stop_callback on_own(own, [&] { either.request_stop(); });
      watch.watcher->run(either.get_token());
    });
}

void Informers::join() {
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
}

bool Informers::synced() const {
  for (const Watch& watch : watches_)
    if (!watch.synced()) return false;
  return stores_.runtimes.synced();
}

std::vector<std::string> Informers::problems() const {
  std::vector<std::string> found;
  for (const Watch& watch : watches_) {
    const std::string plural = info(watch.watcher->kind()).plural;
    const std::string problem = watch.watcher->problem();
    if (!watch.synced())
      found.push_back(plural + " not listed yet" + (problem.empty() ? "" : ": " + problem));
    else if (!watch.watcher->alive())
      found.push_back(plural + " not watched: " + problem);
  }
  if (!stores_.runtimes.synced() && !options_.watch_runtimes)
    found.push_back("the file of runtimes is not read yet");
  return found;
}

}  // namespace mo
