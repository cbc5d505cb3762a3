#include "tests/sim/controllers.h"

#include <algorithm>

namespace mo::sim {

using PodPtr = Store<api::Pod>::Ptr;

struct Controllers::PodsOf {
  std::vector<PodPtr> fresh, old;  // by template
  int fresh_ready = 0, old_ready = 0;
};

// Of a Deployment's status.
struct Controllers::Counts {
  int all = 0, fresh = 0, ready = 0;
  std::string reason;
};

namespace {

ObjectRef ref_of(const PodPtr& pod) { return {Kind::Pod, pod->meta.key}; }

constexpr const char* kTemplateHash = "pod-template-hash";

const std::string& template_hash(const Stored& deployment) {
  if (deployment.template_hash.empty())
    deployment.template_hash = hash_of(deployment.json["spec"]["template"].dump());
  return deployment.template_hash;
}

// When the Deployment has made no progress for too long, unless something moves.
std::optional<TimePoint> deadline_of(const Json& deployment) {
  if (!deployment.contains("status")) return {};
  const auto since = parse_time(deployment["status"]["conditions"][0]["lastUpdateTime"].get<std::string>());
  return *since + std::chrono::seconds(deployment["spec"].value("progressDeadlineSeconds", 600));
}

struct Rolling {
  int surge, gap;
};
Rolling rolling_of(const Json& spec, int replicas) {
  const Json update = spec.value("strategy", Json::object()).value("rollingUpdate", Json::object());
  const Json surge = update.value("maxSurge", Json("25%")), gap = update.value("maxUnavailable", Json(0));
  return {surge.is_number() ? surge.get<int>() : (replicas + 3) / 4, gap.is_number() ? gap.get<int>() : 0};
}

// One that isn't ready, if there is one.
ObjectRef least_useful(const std::vector<PodPtr>& pods) {
  const auto unready = std::find_if(pods.begin(), pods.end(), [](const PodPtr& pod) { return !pod->ready; });
  return ref_of(unready == pods.end() ? pods.back() : *unready);
}

}  // namespace

Controllers::PodsOf Controllers::pods_of(const api::Deployment& d) const {
  PodsOf found;
  std::string wanted;
  for (const PodPtr& pod : w_.truth.pods.of_model({d.meta.key.ns, d.model})) {
    if (pod->meta.controller_uid != d.meta.uid) continue;
    if (wanted.empty()) wanted = template_hash(*w_.stored({Kind::Deployment, d.meta.key}));
    const bool fresh = w_.get(ref_of(pod))["metadata"]["labels"][kTemplateHash] == wanted;
    (fresh ? found.fresh : found.old).push_back(pod);
    (fresh ? found.fresh_ready : found.old_ready) += pod->ready;
  }
  return found;
}

Controllers::Counts Controllers::counts_of(const api::Deployment& d) const {
  const PodsOf pods = pods_of(d);
  const int fresh = static_cast<int>(pods.fresh.size());
  const bool complete = fresh == d.replicas && pods.old.empty() && pods.fresh_ready == d.replicas;
  bool late = false;
  if (!complete) {
    const auto deadline = deadline_of(w_.get({Kind::Deployment, d.meta.key}));
    late = deadline && w_.now >= *deadline;
  }
  return {fresh + static_cast<int>(pods.old.size()), fresh, pods.fresh_ready + pods.old_ready,
          complete ? "NewReplicaSetAvailable"
          : late   ? "ProgressDeadlineExceeded"
                   : "ReplicaSetUpdated"};
}

void Controllers::offer(std::vector<Step>& steps) {
  for (const ObjectRef& ref : w_.all(Kind::Deployment)) offer_deployment(steps, ref);
  for (const ObjectRef& ref : w_.all(Kind::Pod)) offer_pod(steps, *w_.truth.pods.get(ref.key));
  for (const ObjectRef& ref : w_.all(Kind::Job)) offer_job(steps, ref);
  for (const ObjectRef& ref : w_.all(Kind::Workload)) offer_workload(steps, ref);
  for (const ObjectRef& ref : w_.all(Kind::HttpRoute)) offer_route(steps, ref);
  for (const ObjectRef& ref : w_.all(Kind::Service)) offer_endpoints(steps, ref);
  offer_garbage(steps);
}

// One pod at a time.
void Controllers::offer_deployment(std::vector<Step>& steps, const ObjectRef& ref) {
  const auto d = w_.truth.deployments.get(ref.key);
  if (d->meta.controller_uid.empty()) return offer_foreign(steps, ref, *d);
  const PodsOf pods = pods_of(*d);
  const int fresh = static_cast<int>(pods.fresh.size()), old = static_cast<int>(pods.old.size());
  const Rolling rolling = rolling_of(w_.get(ref)["spec"], d->replicas);
  const int surge = old > 0 ? rolling.surge : 0;
  const auto remove = [&](const std::vector<PodPtr>& from) {
    const ObjectRef pod = least_useful(from);
    steps.push_back(
        {"deployment: " + ref.key.name + " deletes " + pod.key.name, [this, pod] { w_.remove(pod); }});
  };
  if (fresh < d->replicas && fresh + old < d->replicas + surge)
    steps.push_back({"deployment: " + ref.key.name + " creates a pod", [this, ref] { make_pod(ref); }});
  else if (fresh > d->replicas)
    remove(pods.fresh);
  else if (old > 0 &&
           (pods.old_ready < old || pods.fresh_ready + pods.old_ready > d->replicas - rolling.gap || d->replicas == 0))
    remove(pods.old);
  const Counts now = counts_of(*d);
  if (d->observed_generation == d->meta.generation && d->status_replicas == now.all &&
      d->updated_replicas == now.fresh && d->ready_replicas == now.ready &&
      d->progressing_reason == now.reason)
    return;
  steps.push_back({"deployment: " + ref.key.name + " writes status " + std::to_string(now.ready) + " ready",
                   [this, ref, now, generation = d->meta.generation] {
                     w_.update(
                         ref,
                         [&](Json& o) {
                           const bool late = now.reason == "ProgressDeadlineExceeded";
                           const std::string since =
                               late ? o["status"]["conditions"][0]["lastUpdateTime"].get<std::string>()
                                    : format_time(w_.now);
                           o["status"] = {{"observedGeneration", generation},
                                          {"replicas", now.all},
                                          {"updatedReplicas", now.fresh},
                                          {"readyReplicas", now.ready},
                                          {"availableReplicas", now.ready},
                                          {"conditions",
                                           {{{"type", "Progressing"},
                                             {"status", late ? "False" : "True"},
                                             {"lastUpdateTime", since},
                                             {"reason", now.reason}}}}};
                         },
                         "kube-controller-manager");
                   }});
}

// Nobody looks at its pods: they are there as soon as it says so.
void Controllers::offer_foreign(std::vector<Step>& steps, const ObjectRef& ref, const api::Deployment& d) {
  if (d.observed_generation == d.meta.generation && d.ready_replicas == d.replicas) return;
  steps.push_back({"deployment: " + ref.key.name + " has what it asks for", [this, ref] {
                     w_.update(
                         ref,
                         [](Json& o) {
                           o["status"] = {{"observedGeneration", o["metadata"]["generation"]},
                                          {"replicas", o["spec"]["replicas"]},
                                          {"readyReplicas", o["spec"]["replicas"]}};
                         },
                         "kube-controller-manager");
                   }});
}

void Controllers::make_pod(const ObjectRef& deployment) {
  const Json& d = w_.get(deployment);
  Json pod = {{"kind", "Pod"},
              {"metadata",
               {{"name", free_name(deployment)},
                {"labels", d["spec"]["template"]["metadata"]["labels"]},
                {"ownerReferences",
                 {{{"kind", "ReplicaSet"},
                   {"name", deployment.key.name},
                   {"uid", d["metadata"]["uid"]},
                   {"controller", true}}}}}},
              {"spec", d["spec"]["template"]["spec"]}};
  pod["metadata"]["labels"][kTemplateHash] = template_hash(*w_.stored(deployment));
  w_.create(std::move(pod), "kube-controller-manager");
}

// The first that is free: which pods there were before makes no difference.
std::string Controllers::free_name(const ObjectRef& deployment) const {
  for (int number = 1;; ++number) {
    const std::string name = deployment.key.name + "-" + std::to_string(number);
    if (!w_.find(ref(Kind::Pod, name))) return name;
  }
}

void Controllers::offer_pod(std::vector<Step>& steps, const api::Pod& typed) {
  if (typed.ready) return;
  const ObjectRef ref{Kind::Pod, typed.meta.key};
  const Json& pod = w_.get(ref);
  const PodFate fate = pod_fate ? pod_fate(pod) : PodFate::Ready;
  if (fate != PodFate::Ready && pod.contains("status")) return;
  steps.push_back(
      {"kubelet: " + ref.key.name, [this, ref, fate] {
         w_.update(
             ref,
             [&](Json& o) {
               o["status"]["conditions"] = {
                   {{"type", "Ready"}, {"status", fate == PodFate::Ready ? "True" : "False"}}};
               o["status"].erase("containerStatuses");
               if (fate == PodFate::Never)
                 o["status"]["containerStatuses"] = {
                     {{"name", "server"},
                      {"state", {{"waiting", {{"reason", "ErrImagePull"}, {"message", "no such image"}}}}}}};
               if (fate == PodFate::DigestMismatch)
                 o["status"]["initContainerStatuses"] = {
                     {{"name", "modelops-fetch"},
                      {"state",
                       {{"terminated",
                         {{"exitCode", 65}, {"message", "digest mismatch: want sha256:a, got sha256:b"}}}}}}};
             },
             "kubelet");
       }});
}

void Controllers::offer_job(std::vector<Step>& steps, const ObjectRef& ref) {
  const Json& job = w_.get(ref);
  const bool runs = job.contains("status");
  if (runs && job["status"].contains("conditions")) return;
  const JobFate fate = job_fate ? job_fate(ref.key.name) : JobFate{};
  if (fate.is == JobFate::Is::Stuck || (fate.is == JobFate::Is::Hangs && runs)) return;
  if (fate.is == JobFate::Is::Hangs) {
    const auto run = [this, ref] { w_.update(ref, [](Json& o) { o["status"]["active"] = 1; }, "kube-controller-manager"); };
    return steps.push_back({"job: " + ref.key.name + " runs", run});
  }
  steps.push_back({"job: " + ref.key.name + " ends", [this, ref, fate] {
                     const bool good = fate.is == JobFate::Is::Complete;
                     w_.update(
                         ref,
                         [&](Json& o) {
                           o["status"]["conditions"] = {
                               {{"type", good ? "Complete" : "Failed"},
                                {"status", "True"},
                                {"reason", good ? "" : "BackoffLimitExceeded"},
                                {"message", good ? "" : "Job has reached the specified backoff limit"},
                                {"lastTransitionTime", format_time(w_.now)}}};
                         },
                         "kube-controller-manager");
                   }});
}

// An engine, with JobSet's words.
void Controllers::offer_workload(std::vector<Step>& steps, const ObjectRef& ref) {
  if (w_.get(ref).contains("status")) return;
  const JobFate fate = job_fate ? job_fate(ref.key.name) : JobFate{};
  if (fate.is == JobFate::Is::Stuck || fate.is == JobFate::Is::Hangs) return;
  steps.push_back({"engine: " + ref.key.name + " ends", [this, ref, fate] {
                     const bool good = fate.is == JobFate::Is::Complete;
                     w_.update(
                         ref,
                         [&](Json& o) {
                           o["status"]["conditions"] = {{{"type", good ? "Completed" : "Failed"},
                                                         {"status", "True"},
                                                         {"message", good ? "jobset completed successfully" : "jobset failed due to one or more job failures"}}};
                         },
                         "engine");
                   }});
}

// A gateway takes up what the route says.
void Controllers::offer_route(std::vector<Step>& steps, const ObjectRef& ref) {
  if (!w_.has_gateway) return;
  const Json& route = w_.get(ref);
  const int64_t generation = route["metadata"]["generation"];
  const auto known = w_.truth.routes.get(ref.key);
  if (!known->parents.empty() && known->parents[0].observed_generation == generation) return;
  steps.push_back(
      {"gateway: " + ref.key.name, [this, ref, generation] {
         w_.update(
             ref,
             [&](Json& o) {
               o["status"]["programmed"] = Json::object();  // what it does now, for the invariants
               for (const Json& backend : o["spec"]["rules"].back()["backendRefs"])
                 o["status"]["programmed"][backend["name"].get<std::string>()] = backend["weight"];
               if (o["spec"]["rules"].size() > 1)  // some callers are all of somebody's traffic
                 o["status"]["programmed"][o["spec"]["rules"][0]["backendRefs"][0]["name"].get<std::string>()] = 100;
               o["status"]["parents"] = {
                   {{"parentRef", {{"name", "gw"}}},
                    {"conditions",
                     {{{"type", "Accepted"}, {"status", "True"}, {"observedGeneration", generation}},
                      {{"type", "ResolvedRefs"}, {"status", "True"}, {"observedGeneration", generation}}}}}};
             },
             "gateway");
       }});
}

// Only where a gateway reads them: elsewhere they would be but more orders of the same.
void Controllers::offer_endpoints(std::vector<Step>& steps, const ObjectRef& service) {
  if (!w_.has_gateway || (endpoints_follow && !endpoints_follow(service.key.name))) return;
  const auto s = w_.truth.services.get(service.key);
  const auto selects = [&](const PodPtr& pod) {
    const Json& labels = w_.get(ref_of(pod))["metadata"]["labels"];
    return std::all_of(s->selector.begin(), s->selector.end(),
                       [&](const auto& label) { return labels.value(label.first, "") == label.second; });
  };
  Json endpoints = Json::array();
  for (const PodPtr& pod : w_.truth.pods.of_model({service.key.ns, s->model}))
    if (pod->ready && selects(pod))
      endpoints.push_back({{"conditions", {{"ready", true}}}, {"targetRef", {{"kind", "Pod"}, {"name", pod->meta.key.name}}}});
  const ObjectRef slice = ref(Kind::EndpointSlice, service.key.name + "-1");
  const Json* there = w_.find(slice);
  if (there && (*there)["metadata"]["ownerReferences"][0]["uid"] != s->meta.uid) return;  // of the Service before
  if (there && (*there)["endpoints"] == endpoints) return;
  steps.push_back({"endpoints: of " + service.key.name + " are " + std::to_string(endpoints.size()), [this, service, slice, endpoints] {
                     const Json& owner = w_.get(service);
                     const auto write = [&](Json& o) {
                       o["endpoints"] = endpoints;
                       o["metadata"]["labels"] = owner["metadata"].value("labels", Json::object());
                       o["metadata"]["labels"][api::kLabelService] = service.key.name;
                     };
                     if (w_.find(slice)) return w_.update(slice, write, "kube-controller-manager");
                     Json made = {{"kind", "EndpointSlice"},
                                  {"metadata",
                                   {{"name", slice.key.name},
                                    {"ownerReferences",
                                     {{{"kind", "Service"},
                                       {"name", service.key.name},
                                       {"uid", owner["metadata"]["uid"]},
                                       {"controller", true}}}}}}};
                     write(made);
                     w_.create(std::move(made), "kube-controller-manager");
                   }});
}

// One of each kind at a time: which of them goes first makes no difference to anybody.
void Controllers::offer_garbage(std::vector<Step>& steps) {
  if (!w_.owner_went()) return;
  std::optional<Kind> offered;
  const auto alive = [this](const Json& owner) {
    return std::any_of(w_.objects().begin(), w_.objects().end(),
                       [&](const StoredPtr& o) { return owner["uid"] == o->uid; });
  };
  for (const StoredPtr& object : w_.objects()) {
    const Json& metadata = object->json["metadata"];
    if (offered == object->ref.kind || !metadata.contains("ownerReferences")) continue;
    const Json& owners = metadata["ownerReferences"];
    if (owners.empty() || std::any_of(owners.begin(), owners.end(), alive)) continue;
    offered = object->ref.kind;
    steps.push_back({"gc: " + object->ref.to_string(), [this, ref = object->ref] { w_.remove(ref); }});
  }
}

std::optional<TimePoint> Controllers::next_due() const {
  std::optional<TimePoint> due;
  for (const auto& d : w_.truth.deployments.all()) {
    if (d->meta.controller_uid.empty()) continue;
    const Json& deployment = w_.get({Kind::Deployment, d->meta.key});
    const auto at = deadline_of(deployment);
    if (!at || *at <= w_.now || (due && *due <= *at)) continue;
    if (counts_of(*d).reason == "ReplicaSetUpdated") due = at;
  }
  return due;
}

}  // namespace mo::sim
