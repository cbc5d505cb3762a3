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

// One that isn't ready, if there is one.
ObjectRef least_useful(const std::vector<PodPtr>& pods) {
  const auto unready = std::find_if(pods.begin(), pods.end(), [](const PodPtr& pod) { return !pod->ready; });
  return ref_of(unready == pods.end() ? pods.back() : *unready);
}

}  // namespace

const std::string& Controllers::template_of(const api::Deployment& d) const {
  auto& [generation, text] = templates_[d.meta.uid];
  if (generation != d.meta.generation)
    text = w_.get({Kind::Deployment, d.meta.key})["spec"]["template"].dump();
  generation = d.meta.generation;
  return text;
}

Controllers::PodsOf Controllers::pods_of(const api::Deployment& d) const {
  PodsOf found;
  const std::string& wanted = template_of(d);
  for (const PodPtr& pod : w_.truth.pods.of_model({d.meta.key.ns, d.model})) {
    if (pod->meta.controller_uid != d.meta.uid) continue;
    const bool fresh = template_of_pod_.at(pod->meta.uid) == wanted;
    (fresh ? found.fresh : found.old).push_back(pod);
    (fresh ? found.fresh_ready : found.old_ready) += pod->ready;
  }
  return found;
}

Controllers::Counts Controllers::counts_of(const api::Deployment& d) const {
  const PodsOf pods = pods_of(d);
  const int fresh = static_cast<int>(pods.fresh.size());
  const bool complete = fresh == d.replicas && pods.old.empty() && pods.fresh_ready == d.replicas;
  const auto since = progressed_.find(d.meta.uid);
  bool late = false;
  if (!complete && since != progressed_.end()) {
    const Json& spec = w_.get({Kind::Deployment, d.meta.key})["spec"];
    late = w_.now >= since->second + std::chrono::seconds(spec.value("progressDeadlineSeconds", 600));
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
  offer_garbage(steps);
}

// maxUnavailable 0, maxSurge 25 %, one pod at a time.
void Controllers::offer_deployment(std::vector<Step>& steps, const ObjectRef& ref) {
  const auto d = w_.truth.deployments.get(ref.key);
  if (d->meta.controller_uid.empty()) return;  // a foreign one stands still
  const PodsOf pods = pods_of(*d);
  const int fresh = static_cast<int>(pods.fresh.size()), old = static_cast<int>(pods.old.size());
  const int surge = old > 0 ? (d->replicas + 3) / 4 : 0;
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
           (pods.old_ready < old || pods.fresh_ready + pods.old_ready > d->replicas || d->replicas == 0))
    remove(pods.old);
  const Counts now = counts_of(*d);
  if (d->observed_generation == d->meta.generation && d->status_replicas == now.all &&
      d->updated_replicas == now.fresh && d->ready_replicas == now.ready &&
      d->progressing_reason == now.reason)
    return;
  steps.push_back({"deployment: " + ref.key.name + " writes status " + std::to_string(now.ready) + " ready",
                   [this, ref, now, generation = d->meta.generation] {
                     progressed_[w_.get(ref)["metadata"]["uid"]] = w_.now;
                     w_.update(
                         ref,
                         [&](Json& o) {
                           const bool late = now.reason == "ProgressDeadlineExceeded";
                           o["status"] = {{"observedGeneration", generation},
                                          {"replicas", now.all},
                                          {"updatedReplicas", now.fresh},
                                          {"readyReplicas", now.ready},
                                          {"availableReplicas", now.ready},
                                          {"conditions",
                                           {{{"type", "Progressing"},
                                             {"status", late ? "False" : "True"},
                                             {"reason", now.reason}}}}};
                         },
                         "kube-controller-manager");
                   }});
}

void Controllers::make_pod(const ObjectRef& deployment) {
  const Json& d = w_.get(deployment);
  Json pod = {{"kind", "Pod"},
              {"metadata",
               {{"name", deployment.key.name + "-" + std::to_string(++pod_number_)},
                {"labels", d["spec"]["template"]["metadata"]["labels"]},
                {"ownerReferences",
                 {{{"kind", "ReplicaSet"},
                   {"name", deployment.key.name},
                   {"uid", d["metadata"]["uid"]},
                   {"controller", true}}}}}},
              {"spec", d["spec"]["template"]["spec"]}};
  const ObjectRef made = ref(Kind::Pod, pod["metadata"]["name"]);
  w_.create(std::move(pod), "kube-controller-manager");
  template_of_pod_[w_.get(made)["metadata"]["uid"]] = d["spec"]["template"].dump();
}

void Controllers::offer_pod(std::vector<Step>& steps, const api::Pod& typed) {
  if (typed.ready) return;
  const ObjectRef ref{Kind::Pod, typed.meta.key};
  const Json& pod = w_.get(ref);
  const PodFate fate = pod_fate ? pod_fate(pod) : PodFate::Ready;
  if (fate != PodFate::Ready && pod.contains("status")) return;
  steps.push_back(
      {"kubelet: " + ref.key.name, [this, ref, fate] {
         if (fate == PodFate::Ready && ++pod_age_[w_.get(ref)["metadata"]["uid"]] < ready_after) return;
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
  if (job.contains("status")) return;
  const JobFate fate = job_fate ? job_fate(ref.key.name) : JobFate{};
  if (fate.is == JobFate::Is::Hangs) return;
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

bool Controllers::owner_went() {
  for (; log_read_ < w_.log.size(); ++log_read_) {
    const Change& change = w_.log[log_read_];
    garbage_ |= change.deleted &&
                (change.kind == Kind::Model || change.kind == Kind::Deployment || change.kind == Kind::Job);
    model_went_ |= change.deleted && change.kind == Kind::Model;
  }
  // What is made for a Model that is gone already is garbage from the start.
  return garbage_ || model_went_;
}

void Controllers::offer_garbage(std::vector<Step>& steps) {
  if (!owner_went()) return;
  std::set<std::string> alive;
  for (Kind kind : {Kind::Model, Kind::Deployment, Kind::Job})
    for (const ObjectRef& ref : w_.all(kind)) alive.insert(w_.get(ref)["metadata"]["uid"].get<std::string>());
  garbage_ = false;
  for (Kind kind :
       {Kind::Deployment, Kind::Service, Kind::Job, Kind::Pod, Kind::ModelVersion, Kind::ModelRollout})
    for (const ObjectRef& ref : w_.all(kind)) {
      const Json& metadata = w_.get(ref)["metadata"];
      const Json owners = metadata.value("ownerReferences", Json::array());
      const bool orphan = !owners.empty() && std::none_of(owners.begin(), owners.end(), [&](const Json& o) {
        return alive.count(o["uid"]);
      });
      if (!orphan) continue;
      garbage_ = true;
      steps.push_back({"gc: " + ref.to_string(), [this, ref] { w_.remove(ref); }});
    }
}

std::optional<TimePoint> Controllers::next_due() const {
  std::optional<TimePoint> due;
  for (const ObjectRef& ref : w_.all(Kind::Deployment)) {
    const Json& d = w_.get(ref);
    const auto since = progressed_.find(d["metadata"]["uid"]);
    if (since == progressed_.end()) continue;
    const TimePoint at =
        since->second + std::chrono::seconds(d["spec"].value("progressDeadlineSeconds", 600));
    if (at > w_.now && (!due || at < *due)) due = at;
  }
  return due;
}

}  // namespace mo::sim
