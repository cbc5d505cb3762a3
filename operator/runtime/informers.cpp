#include "operator/runtime/informers.h"

#include "operator/runtime/log.h"

namespace mo {

void DatasetIndex::update(const api::Model& model, bool removed) {
  std::set<ObjectKey> wanted;
  if (!removed && model.retraining)
    for (const auto& trigger : model.retraining->triggers)
      if (trigger.dataset) wanted.insert(ObjectKey{model.meta.key.ns, trigger.dataset->name});
  std::lock_guard lock(mutex_);
  auto held = configmaps_.find(model.meta.key);
  if (held == configmaps_.end() && wanted.empty()) return;
  if (held != configmaps_.end()) {
    for (const ObjectKey& configmap : held->second) {
      auto models = models_.find(configmap);
      models->second.erase(model.meta.key);
      if (models->second.empty()) models_.erase(models);
    }
    configmaps_.erase(held);
  }
  for (const ObjectKey& configmap : wanted) models_[configmap].insert(model.meta.key);
  if (!wanted.empty()) configmaps_.emplace(model.meta.key, std::move(wanted));
}

std::vector<ObjectKey> DatasetIndex::models_of(const ObjectKey& configmap) const {
  std::lock_guard lock(mutex_);
  auto it = models_.find(configmap);
  if (it == models_.end()) return {};
  return {it->second.begin(), it->second.end()};
}

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
  auto sink = std::make_unique<StoreSink<T>>(store, std::move(changed));
  watches_.push_back(Watch{std::make_unique<Watcher>(client_, std::move(options), std::move(sink), meters_),
                           [&store] { return store.synced(); }});
}

void Informers::watch_ours() {
  auto queue_models = [this](const auto& object, bool) {
    for (const ObjectKey& model : models_of(object)) queue_.add(model);
  };
  watch<api::Model>(stores_.models, {}, [this](const api::Model& model, bool removed) {
    datasets_.update(model, removed);
    queue_.add(model.meta.key);
  });
  watch<api::ModelVersion>(stores_.versions, {}, queue_models);
  watch<api::ModelRollout>(stores_.rollouts, {}, queue_models);
  if (!options_.watch_runtimes) return;
  WatcherOptions runtimes;
  // A Role cannot grant a cluster-scoped kind.
  runtimes.machine.optional = !options_.ns.empty();
  watch<api::ModelRuntime>(stores_.runtimes, runtimes,
                           [this](const api::ModelRuntime&, bool) { queue_all_models(); });
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
  watch<api::Job>(stores_.jobs, labelled, queue_models);
  watch<api::Pod>(stores_.pods, labelled, queue_models);
  WatcherOptions metadata;
  metadata.metadata_only = true;
  watch<api::ConfigMap>(stores_.configmaps, metadata, [this](const api::ConfigMap& configmap, bool) {
    for (const ObjectKey& model : datasets_.models_of(configmap.meta.key)) queue_.add(model);
  });
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
