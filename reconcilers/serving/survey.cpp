#include "reconcilers/serving/survey.h"

#include <algorithm>

#include "reconcilers/common/names.h"
#include "reconcilers/common/side.h"
#include "reconcilers/serving/fetching.h"
#include "reconcilers/serving/route.h"

namespace mo::serving {
namespace {

using Selected = ServingState::Selected;

Selected selected_by(const Observed& o, const std::string& stable, const std::string& candidate) {
  auto it = o.services.find(o.key.name);
  if (it == o.services.end()) return Selected::Nobody;
  const std::string side = side_of(it->second.object->selector);
  if (side.empty()) return Selected::Both;
  if (side == stable) return Selected::Stable;
  if (side == candidate) return Selected::Candidate;
  return Selected::Nobody;
}

bool size_observed(const Observed& o, const std::string& side) {
  const Owned<api::Deployment>* have = deployment_of(o, side);
  return have && have->object->observed_generation >= have->object->meta.generation;
}

// Its Deployment may be replacing pods by those of another template, with some more meanwhile.
bool rolls(const Observed& o, const std::string& side) {
  const Owned<api::Deployment>* have = deployment_of(o, side);
  return have && (!size_observed(o, side) || have->object->updated_replicas != have->object->status_replicas);
}

// What a Service for every version would send traffic to, although it belongs to neither: a pod of a side
// that was rolled out before, not yet collected, or the Deployment of one, which may make a pod at any
// moment.
std::string stray(const Observed& o, const ServingState& g, const std::string& stable,
                  const std::string& candidate) {
  for (const auto& [name, owned] : o.deployments)
    if (const std::string side = side_of(*owned.object); side != stable && side != candidate) return "Deployment " + name;
  int of_candidate = 0;
  for (const auto& pod : o.pods) {
    const bool may_serve = !pod->meta.deleting && (pod->ready || pod->problem.empty());
    const std::string side = side_of(*pod);
    if (!may_serve || side.empty() || side == stable) continue;
    if (side != candidate || ++of_candidate > std::max(g.candidate.running, g.candidate.wanted))
      return "Pod " + pod->meta.key.name;
  }
  return "";
}

}  // namespace

const Owned<api::Deployment>* deployment_of(const Observed& o, const std::string& side) {
  if (side.empty()) return nullptr;
  const auto it = std::find_if(o.deployments.begin(), o.deployments.end(),
                               [&](const auto& named) { return side_of(*named.second.object) == side; });
  return it == o.deployments.end() ? nullptr : &it->second;
}

Pods pods_of(const Observed& o, const std::string& side) {
  const Owned<api::Deployment>* have = deployment_of(o, side);
  if (!have) return {};
  const api::Deployment& d = *have->object;
  return {true, d.replicas, d.status_replicas, d.ready_replicas};
}

bool settled(const Observed& o, const std::string& side) {
  const Owned<api::Deployment>* have = deployment_of(o, side);
  if (!have) return false;
  const api::Deployment& d = *have->object;
  return d.observed_generation >= d.meta.generation && d.updated_replicas == d.replicas &&
         d.status_replicas == d.replicas && d.ready_replicas >= d.replicas && !d.meta.deleting;
}

std::string absent_configmap(const Observed& o, const api::ModelVersion& version) {
  for (const std::string& name : api::artifact_configmaps(version.artifact, version.parts))
    if (!o.configmaps.count(name)) return name;
  return "";
}

Fetching fetching_of(const Observed& o, const std::string& side) {
  Fetching out;
  if (const auto record = o.version(version_of(side))) out.most = time_to_fetch(record->artifact, record->parts);
  for (const auto& pod : o.pods) {
    if (side_of(*pod) != side || pod->ready || pod->ended || pod->meta.deleting) continue;
    if (pod->fetching_since && (!out.since || *pod->fetching_since < *out.since)) out.since = pod->fetching_since;
    if (pod->fetched_at && (!out.done || *out.done < *pod->fetched_at)) out.done = pod->fetched_at;
  }
  return out;
}

std::string pods_problem(const Observed& o, const std::string& side) {
  const Owned<api::Deployment>* have = deployment_of(o, side);
  if (have && !have->object->replica_failure.empty()) return have->object->replica_failure;
  for (const auto& pod : o.pods)
    if (side_of(*pod) == side && !pod->ready && !pod->problem.empty()) return pod->problem;
  // A pod that waits for a volume says nothing in its status.
  const Ref<api::ModelVersion> record = o.version(version_of(side));
  if (!record || settled(o, side)) return "";
  const std::string configmap = absent_configmap(o, *record);
  if (!configmap.empty()) return "ConfigMap " + configmap + ", which holds the artifact, does not exist";
  const Fetching fetching = fetching_of(o, side);
  if (!fetching.since) return "";
  const std::string& size = record->artifact.size;
  return "fetching " + (record->parts.empty() ? "the artifact" : "the artifact and " + std::to_string(record->parts.size()) + " parts") +
         (size.empty() ? "" : " (at most " + size + ")") + " since " + format_time(*fetching.since);
}

ServingState survey(const Observed& o, const std::string& stable, const std::string& candidate, TimePoint now) {
  ServingState g;
  g.routed = o.model->route.has_value();
  g.replicas = o.model->replicas;
  if (o.model->max_surge && !g.routed) g.limit = plus(g.replicas, *o.model->max_surge);
  g.stable = pods_of(o, stable);
  g.candidate = pods_of(o, candidate);
  for (const auto& pod : o.pods) {
    if (pod->ended) continue;
    const std::string side = side_of(*pod);
    ++(!stable.empty() && side == stable         ? g.stable.holding
       : !candidate.empty() && side == candidate ? g.candidate.holding
                                                 : g.elsewhere);
  }
  if (g.limit && rolls(o, stable)) g.stable.holding = std::max(g.stable.holding, plus(g.stable.wanted, *o.model->max_surge));
  g.stable.counted = !g.stable.exists || size_observed(o, stable);
  // Decisions hang on pods that stay: not on those that a smaller size takes away, and not on a count from
  // before the last change of size.
  if (!size_observed(o, stable)) g.stable.ready = 0;
  for (Pods* pods : {&g.stable, &g.candidate}) pods->ready = std::min(pods->ready, pods->wanted);
  bool side_lags = false;
  if (g.routed) {
    const RouteView route = view_route(o, now);
    g.selected = selected_by_route(route, stable, candidate);
    g.route_weight = route.side == candidate ? route.side_weight : 0;
    if (route.side == candidate) g.route_rules = route.rules;
    g.route_taken_up = route.taken_up;
    g.route_reaches = route.main_reaches > 0;
    g.route_problem = route.problem;
    side_lags = route.side == candidate && route.side_reaches < g.candidate.ready;
  } else {
    g.selected = selected_by(o, stable, candidate);
  }
  g.candidate_settled = settled(o, candidate);
  g.adopting = o.model->adopt && !o.services.count(o.key.name);
  g.stray = candidate.empty() || g.routed ? "" : stray(o, g, stable, candidate);
  if (!candidate.empty()) g.candidate_fetching = fetching_of(o, candidate);
  g.candidate_problem = candidate.empty() ? "" : pods_problem(o, candidate);
  if (g.candidate_problem.empty() && !g.stray.empty())
    g.candidate_problem = g.stray + " of an earlier rollout is still terminating";
  if (g.candidate_problem.empty() && side_lags && g.candidate_settled)
    g.candidate_problem = "the endpoints of Service " + candidate_service_name(o.key.name) + " do not list enough of them yet";
  for (const auto& pod : o.pods) {
    if (side_of(*pod) != candidate || pod->ready) continue;
    g.digest_mismatch |= pod->digest_mismatch;
    g.bad_signature |= pod->bad_signature;
  }
  return g;
}

}  // namespace mo::serving
