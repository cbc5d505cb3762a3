#include "tests/sim/controllers.h"

#include <algorithm>

namespace mo::sim {
namespace {

constexpr const char* kTemplateHash = "pod-template-hash";

bool ready(const Json& pod) {
  for (const Json& c : pod.value("status", Json::object()).value("conditions", Json::array()))
    if (c["type"] == "Ready") return c["status"] == "True";
  return false;
}

// One that isn't ready, if there is one.
ObjectRef least_useful(const World& w, const std::vector<ObjectRef>& pods) {
  for (const ObjectRef& ref : pods)
    if (!ready(w.get(ref))) return ref;
  return pods.back();
}

}  // namespace

struct Controllers::PodsOf {
  std::vector<ObjectRef> fresh, old;  // by template
  int fresh_ready = 0, old_ready = 0;
};

const std::string& Controllers::template_hash(const Json& deployment) const {
  auto& [generation, hash] = hashes_[deployment["metadata"]["uid"].get_ref<const std::string&>()];
  const int64_t now = deployment["metadata"]["generation"];
  if (generation != now) hash = hash_of(deployment["spec"]["template"].dump()).substr(0, 8);
  generation = now;
  return hash;
}

Controllers::PodsOf Controllers::pods_of(const Json& deployment) const {
  PodsOf found;
  const std::string& hash = template_hash(deployment);
  for (const ObjectRef& ref : w_.all(Kind::Pod)) {
    const Json& pod = w_.get(ref);
    if (pod["metadata"]["ownerReferences"][0]["uid"] != deployment["metadata"]["uid"]) continue;
    const bool fresh = pod["metadata"]["labels"][kTemplateHash] == hash;
    (fresh ? found.fresh : found.old).push_back(ref);
    (fresh ? found.fresh_ready : found.old_ready) += ready(pod);
  }
  return found;
}

void Controllers::offer(std::vector<Step>& steps) {
  for (const ObjectRef& ref : w_.all(Kind::Deployment)) offer_deployment(steps, ref);
  for (const ObjectRef& ref : w_.all(Kind::Pod)) offer_pod(steps, ref);
  for (const ObjectRef& ref : w_.all(Kind::Job)) offer_job(steps, ref);
  offer_garbage(steps);
}

// maxUnavailable 0, maxSurge 25 %, one pod at a time.
void Controllers::offer_deployment(std::vector<Step>& steps, const ObjectRef& ref) {
  const Json& d = w_.get(ref);
  if (!d["spec"].contains("template") || !d["spec"]["template"].contains("metadata")) return;
  const int wanted = d["spec"]["replicas"];
  const PodsOf pods = pods_of(d);
  const int fresh = static_cast<int>(pods.fresh.size()), old = static_cast<int>(pods.old.size());
  const int surge = old > 0 ? (wanted + 3) / 4 : 0;
  const auto remove = [&](const std::vector<ObjectRef>& from) {
    const ObjectRef pod = least_useful(w_, from);
    steps.push_back({"deployment: " + ref.key.name + " deletes " + pod.key.name, [this, pod] { w_.remove(pod); }});
  };
  if (fresh < wanted && fresh + old < wanted + surge)
    steps.push_back({"deployment: " + ref.key.name + " creates a pod", [this, ref] { make_pod(ref); }});
  else if (fresh > wanted)
    remove(pods.fresh);
  else if (old > 0 && (pods.old_ready < old || pods.fresh_ready + pods.old_ready > wanted || wanted == 0))
    remove(pods.old);
  Json status = status_of(ref, d);
  if (status != d.value("status", Json()))
    steps.push_back({"deployment: " + ref.key.name + " writes status " + std::to_string(status["readyReplicas"].get<int>()) + " ready", [this, ref] {
                       const Json status = status_of(ref, w_.get(ref));
                       progressed_[w_.get(ref)["metadata"]["uid"]] = w_.now;
                       w_.update(ref, [&](Json& o) { o["status"] = status; }, "kube-controller-manager");
                     }});
}

Json Controllers::status_of(const ObjectRef&, const Json& d) const {
  const PodsOf pods = pods_of(d);
  const int wanted = d["spec"]["replicas"];
  const int fresh = static_cast<int>(pods.fresh.size()), ready = pods.fresh_ready + pods.old_ready;
  const bool complete = fresh == wanted && pods.old.empty() && pods.fresh_ready == wanted;
  const auto since = progressed_.find(d["metadata"]["uid"]);
  const bool late = !complete && since != progressed_.end() &&
                    w_.now >= since->second + std::chrono::seconds(d["spec"].value("progressDeadlineSeconds", 600));
  const char* reason = complete ? "NewReplicaSetAvailable" : late ? "ProgressDeadlineExceeded" : "ReplicaSetUpdated";
  return {{"observedGeneration", d["metadata"]["generation"]},
          {"replicas", fresh + static_cast<int>(pods.old.size())},
          {"updatedReplicas", fresh},
          {"readyReplicas", ready},
          {"availableReplicas", ready},
          {"conditions", {{{"type", "Progressing"}, {"status", late ? "False" : "True"}, {"reason", reason}}}}};
}

void Controllers::make_pod(const ObjectRef& deployment) {
  const Json& d = w_.get(deployment);
  Json pod = {{"kind", "Pod"},
              {"metadata",
               {{"name", deployment.key.name + "-" + std::to_string(++pod_number_)},
                {"labels", d["spec"]["template"]["metadata"]["labels"]},
                {"ownerReferences", {{{"kind", "ReplicaSet"}, {"name", deployment.key.name}, {"uid", d["metadata"]["uid"]}, {"controller", true}}}}}},
              {"spec", d["spec"]["template"]["spec"]}};
  pod["metadata"]["labels"][kTemplateHash] = template_hash(d);
  w_.create(std::move(pod), "kube-controller-manager");
}

void Controllers::offer_pod(std::vector<Step>& steps, const ObjectRef& ref) {
  const Json& pod = w_.get(ref);
  if (ready(pod)) return;
  const PodFate fate = pod_fate ? pod_fate(pod) : PodFate::Ready;
  if (fate != PodFate::Ready && pod.contains("status")) return;
  steps.push_back({"kubelet: " + ref.key.name, [this, ref, fate] {
                     if (fate == PodFate::Ready && ++pod_age_[w_.get(ref)["metadata"]["uid"]] < ready_after) return;
                     w_.update(ref,
                               [&](Json& o) {
                                 o["status"]["conditions"] = {{{"type", "Ready"}, {"status", fate == PodFate::Ready ? "True" : "False"}}};
                                 o["status"].erase("containerStatuses");
                                 if (fate == PodFate::Never)
                                   o["status"]["containerStatuses"] = {
                                       {{"name", "server"}, {"state", {{"waiting", {{"reason", "ErrImagePull"}, {"message", "no such image"}}}}}}};
                                 if (fate == PodFate::DigestMismatch)
                                   o["status"]["initContainerStatuses"] = {
                                       {{"name", "modelops-fetch"},
                                        {"state", {{"terminated", {{"exitCode", 65}, {"message", "digest mismatch: want sha256:a, got sha256:b"}}}}}}};
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
                     w_.update(ref,
                               [&](Json& o) {
                                 o["status"]["conditions"] = {{{"type", good ? "Complete" : "Failed"},
                                                               {"status", "True"},
                                                               {"reason", good ? "" : "BackoffLimitExceeded"},
                                                               {"message", good ? "" : "Job has reached the specified backoff limit"},
                                                               {"lastTransitionTime", format_time(w_.now)}}};
                               },
                               "kube-controller-manager");
                   }});
}

void Controllers::offer_garbage(std::vector<Step>& steps) {
  std::set<std::string> alive;
  for (Kind kind : {Kind::Model, Kind::Deployment, Kind::Job})
    for (const ObjectRef& ref : w_.all(kind)) alive.insert(w_.get(ref)["metadata"]["uid"].get<std::string>());
  for (Kind kind : {Kind::Deployment, Kind::Service, Kind::Job, Kind::Pod, Kind::ModelVersion, Kind::ModelRollout})
    for (const ObjectRef& ref : w_.all(kind)) {
      const Json& metadata = w_.get(ref)["metadata"];
      const Json owners = metadata.value("ownerReferences", Json::array());
      const bool orphan = !owners.empty() && std::none_of(owners.begin(), owners.end(), [&](const Json& o) { return alive.count(o["uid"]); });
      if (orphan) steps.push_back({"gc: " + ref.to_string(), [this, ref] { w_.remove(ref); }});
    }
}

std::optional<TimePoint> Controllers::next_due() const {
  std::optional<TimePoint> due;
  for (const ObjectRef& ref : w_.all(Kind::Deployment)) {
    const Json& d = w_.get(ref);
    const auto since = progressed_.find(d["metadata"]["uid"]);
    if (since == progressed_.end()) continue;
    const TimePoint at = since->second + std::chrono::seconds(d["spec"].value("progressDeadlineSeconds", 600));
    if (at > w_.now && (!due || at < *due)) due = at;
  }
  return due;
}

}  // namespace mo::sim
