// The rest of a cluster, a step at a time: Deployments and their pods, Jobs, garbage collection. Which step
// is taken is the scheduler's choice.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/world.h"

namespace mo::sim {

struct Step {
  std::string name;
  std::function<void()> run;
};

enum class PodFate { Ready, Never, DigestMismatch };

struct JobFate {
  enum class Is { Complete, Failed, Hangs } is = Is::Complete;
  std::string result;  // the termination message
};

class Controllers {
 public:
  explicit Controllers(World& world) : w_(world) {}

  // What becomes of a pod, by its whole JSON; of a Job, by its name.
  std::function<PodFate(const Json& pod)> pod_fate;
  std::function<JobFate(const std::string& job)> job_fate;
  int ready_after = 1;  // steps of a kubelet

  // Everything that could happen next.
  void offer(std::vector<Step>& steps);
  // When something of theirs comes due by the clock alone.
  std::optional<TimePoint> next_due() const;

 private:
  void offer_deployment(std::vector<Step>& steps, const ObjectRef& ref);
  void offer_pod(std::vector<Step>& steps, const api::Pod& pod);
  void offer_job(std::vector<Step>& steps, const ObjectRef& ref);
  void offer_garbage(std::vector<Step>& steps);
  void make_pod(const ObjectRef& deployment);
  struct PodsOf;
  struct Counts;
  PodsOf pods_of(const api::Deployment& deployment) const;
  Counts counts_of(const api::Deployment& deployment) const;
  const std::string& template_of(const api::Deployment& deployment) const;
  bool owner_went();

  World& w_;
  int64_t pod_number_ = 0;
  mutable std::map<std::string, std::pair<int64_t, std::string>>
      templates_;                                       // Deployment UID -> its generation and template then
  std::map<std::string, std::string> template_of_pod_;  // by UID
  std::map<std::string, int> pod_age_;                  // by UID
  std::map<std::string, TimePoint> progressed_;         // Deployment UID -> when its status last moved
  size_t log_read_ = 0;
  bool garbage_ = false, model_went_ = false;
};

}  // namespace mo::sim
