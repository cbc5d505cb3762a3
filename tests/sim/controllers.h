// The rest of a cluster, a step at a time: Deployments and their pods, Jobs, garbage collection. Which step
// is taken is the scheduler's choice. All that they remember is in the objects.
#pragma once

#include <functional>
#include <optional>
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
  enum class Is { Complete, Failed, Hangs, Stuck } is = Is::Complete;  // Hangs: it runs for ever. Stuck: it never has a pod
  std::string result;  // the termination message
};

class Controllers {
 public:
  explicit Controllers(World& world) : w_(world) {}

  // What becomes of a pod, by its whole JSON; of a Job, or of an engine's object that trains, by its name.
  std::function<PodFate(const Json& pod)> pod_fate;
  std::function<JobFate(const std::string& job)> job_fate;
  // Whether EndpointSlices follow, by the Service's name.
  std::function<bool(const std::string& service)> endpoints_follow;

  // Everything that could happen next.
  void offer(std::vector<Step>& steps);
  // When something of theirs comes due by the clock alone.
  std::optional<TimePoint> next_due() const;

 private:
  void offer_deployment(std::vector<Step>& steps, const ObjectRef& ref);
  void offer_foreign(std::vector<Step>& steps, const ObjectRef& ref, const api::Deployment& d);
  void offer_pod(std::vector<Step>& steps, const api::Pod& pod);
  void offer_job(std::vector<Step>& steps, const ObjectRef& ref);
  void offer_workload(std::vector<Step>& steps, const ObjectRef& ref);
  void offer_route(std::vector<Step>& steps, const ObjectRef& ref);
  void offer_endpoints(std::vector<Step>& steps, const ObjectRef& service);
  void offer_garbage(std::vector<Step>& steps);
  void make_pod(const ObjectRef& deployment);
  std::string free_name(const ObjectRef& deployment) const;
  struct PodsOf;
  struct Counts;
  PodsOf pods_of(const api::Deployment& deployment) const;
  Counts counts_of(const api::Deployment& deployment) const;

  World& w_;
};

}  // namespace mo::sim
