// Deployments, Services, HTTPRoutes, EndpointSlices, autoscalers, Jobs, Pods and ConfigMaps, as far as the operator looks at them.
#include "operator/api/parse.h"
#include "operator/api/read.h"
#include "operator/json/json.h"

namespace mo::api {
namespace read {
namespace {

// Only what all kinds' conditions have.
struct PlainCondition {
  std::string type, status, reason, message;
  std::optional<TimePoint> last_transition;
};
constexpr Field<PlainCondition> kCondition[] = {
    {"type", member<&PlainCondition::type>},
    {"status", member<&PlainCondition::status>},
    {"reason", member<&PlainCondition::reason>},
    {"message", member<&PlainCondition::message>},
    {"lastTransitionTime", member<&PlainCondition::last_transition>},
};

template <class Visitor>
void each_condition(value& v, const Path& at, const Visitor& visit) {
  each_item(v, at, [&](value& item, const Path& here) {
    PlainCondition condition;
    if (read_object(item, condition, kCondition, here)) visit(condition);
  });
}

std::string joined(const std::string& reason, const std::string& message) {
  return reason.empty() || message.empty() ? reason + message : reason + ": " + message;
}

// ---- Deployment ----

// The hash runs over the text as the API server sends it: minified, and in the same order each time.
void read_deployment_spec(value& v, Root<Deployment>& out, const Path& at) {
  simdjson::ondemand::object spec;
  if (const auto error = v.get_object().get(spec)) return at.mismatch(v, error, "an object");
  Hasher hasher;
  each_field(spec, at, [&](std::string_view key, value& part) {
    const Path here(at, key);
    if (key == "replicas") return void(read(part, out.object.replicas, here));
    hasher.add(key);
    hasher.add(":");
    hasher.add(raw_text(part, here));
    hasher.add(",");
  });
  out.object.spec_hash = hasher.hex();
}

void read_deployment_conditions(value& v, Deployment& out, const Path& at) {
  each_condition(v, at, [&](PlainCondition& c) {
    if (c.type == "Progressing") out.progressing_reason = std::move(c.reason);
    if (c.type == "ReplicaFailure" && c.status == "True") out.replica_failure = std::move(c.message);
  });
}

constexpr Field<Deployment> kDeploymentStatus[] = {
    {"observedGeneration", member<&Deployment::observed_generation>},
    {"replicas", member<&Deployment::status_replicas>},
    {"updatedReplicas", member<&Deployment::updated_replicas>},
    {"readyReplicas", member<&Deployment::ready_replicas>},
    {"availableReplicas", member<&Deployment::available_replicas>},
    {"conditions", read_deployment_conditions},
};
constexpr Field<Root<Deployment>> kDeployment[] = {
    {"metadata", root_metadata}, {"spec", read_deployment_spec}, {"status", root_part<kDeploymentStatus>}};

// ---- Service ----

constexpr Field<Service> kServiceSpec[] = {{"selector", member<&Service::selector>}};
// Opens the object and hashes its text.
bool read_hashed(value& v, simdjson::ondemand::object& spec, std::string& hash, const Path& at) {
  if (const auto error = v.get_object().get(spec)) return at.mismatch(v, error, "an object"), false;
  std::string_view text;
  if (const auto error = spec.raw_json().get(text)) return at.broken(error), false;
  hash = hash_of(text.substr(0, text.find_last_not_of(" \t\r\n") + 1));
  if (const auto error = spec.reset().error()) return at.broken(error), false;
  return true;
}
void read_service_spec(value& v, Root<Service>& out, const Path& at) {
  simdjson::ondemand::object spec;
  if (!read_hashed(v, spec, out.object.spec_hash, at)) return;
  read_fields(spec, out.object, kServiceSpec, at);
}
constexpr Field<Root<Service>> kService[] = {{"metadata", root_metadata}, {"spec", read_service_spec}};

// ---- HTTPRoute ----

struct BackendRef {
  std::string name;
  int weight = 1;  // the API's default
};
constexpr Field<BackendRef> kBackendRef[] = {{"name", member<&BackendRef::name>},
                                             {"weight", member<&BackendRef::weight>}};
bool read(value& v, BackendRef& out, const Path& at) { return read_object(v, out, kBackendRef, at); }

struct RouteMatch {
  std::vector<HeaderMatch> headers;
};
constexpr Field<RouteMatch> kRouteMatch[] = {{"headers", member<&RouteMatch::headers>}};
bool read(value& v, RouteMatch& out, const Path& at) { return read_object(v, out, kRouteMatch, at); }

struct RouteFilter {
  std::string type;
};
constexpr Field<RouteFilter> kRouteFilter[] = {{"type", member<&RouteFilter::type>}};
bool read(value& v, RouteFilter& out, const Path& at) { return read_object(v, out, kRouteFilter, at); }

struct RouteRule {
  std::vector<RouteMatch> matches;
  std::vector<RouteFilter> filters;
  std::vector<BackendRef> backends;
};
constexpr Field<RouteRule> kRouteRule[] = {{"matches", member<&RouteRule::matches>},
                                           {"filters", member<&RouteRule::filters>},
                                           {"backendRefs", member<&RouteRule::backends>}};

// The last rule is the one for everybody; those before it are for chosen callers.
void read_route_rules(value& v, HttpRoute& out, const Path& at) {
  each_item(v, at, [&](value& item, const Path& here) {
    RouteRule rule;
    if (!read_object(item, rule, kRouteRule, here)) return;
    for (RouteMatch& match : rule.matches)
      if (!match.headers.empty()) return void(out.chosen = std::move(match.headers));
    out.weights.clear();
    for (const BackendRef& backend : rule.backends) out.weights[backend.name] = backend.weight;
    out.mirrored = std::any_of(rule.filters.begin(), rule.filters.end(),
                               [](const RouteFilter& filter) { return filter.type == "RequestMirror"; });
  });
}
constexpr Field<HttpRoute> kRouteSpec[] = {{"rules", read_route_rules}};
void read_route_spec(value& v, Root<HttpRoute>& out, const Path& at) {
  simdjson::ondemand::object spec;
  if (!read_hashed(v, spec, out.object.spec_hash, at)) return;
  read_fields(spec, out.object, kRouteSpec, at);
}

struct ParentCondition {
  std::string type, status, reason, message;
  int64_t observed_generation = 0;
};
constexpr Field<ParentCondition> kParentCondition[] = {
    {"type", member<&ParentCondition::type>},
    {"status", member<&ParentCondition::status>},
    {"reason", member<&ParentCondition::reason>},
    {"message", member<&ParentCondition::message>},
    {"observedGeneration", member<&ParentCondition::observed_generation>},
};
void read_parent_conditions(value& v, HttpRoute::Parent& out, const Path& at) {
  each_item(v, at, [&](value& item, const Path& here) {
    ParentCondition c;
    if (!read_object(item, c, kParentCondition, here)) return;
    const bool holds = c.status == "True";
    if (c.type == "Accepted") {
      out.accepted = holds;
      out.observed_generation = c.observed_generation;
    }
    if (c.type == "ResolvedRefs") out.resolved = holds;
    if (!holds && (c.type == "Accepted" || c.type == "ResolvedRefs"))
      out.problem = joined(c.reason, c.message);
  });
}
constexpr Field<HttpRoute::Parent> kParentName[] = {{"name", member<&HttpRoute::Parent::name>}};
constexpr Field<HttpRoute::Parent> kParent[] = {{"parentRef", into<kParentName>},
                                                {"conditions", read_parent_conditions}};
void read_parents(value& v, HttpRoute& out, const Path& at) {
  each_item(v, at, [&](value& item, const Path& here) {
    HttpRoute::Parent parent;
    if (read_object(item, parent, kParent, here)) out.parents.push_back(std::move(parent));
  });
}
constexpr Field<HttpRoute> kRouteStatus[] = {{"parents", read_parents}};
constexpr Field<Root<HttpRoute>> kHttpRoute[] = {
    {"metadata", root_metadata}, {"spec", read_route_spec}, {"status", root_part<kRouteStatus>}};

// ---- EndpointSlice ----

struct Endpoint {
  bool ready = true;  // where nothing is said
  std::string kind, name;
};
constexpr Field<Endpoint> kEndpointConditions[] = {{"ready", member<&Endpoint::ready>}};
constexpr Field<Endpoint> kEndpointTarget[] = {{"kind", member<&Endpoint::kind>}, {"name", member<&Endpoint::name>}};
constexpr Field<Endpoint> kEndpoint[] = {{"conditions", into<kEndpointConditions>},
                                         {"targetRef", into<kEndpointTarget>}};
void read_endpoints(value& v, Root<EndpointSlice>& out, const Path& at) {
  each_item(v, at, [&](value& item, const Path& here) {
    Endpoint endpoint;
    if (read_object(item, endpoint, kEndpoint, here) && endpoint.ready && endpoint.kind == "Pod")
      out.object.pods.push_back(std::move(endpoint.name));
  });
}
constexpr Field<Root<EndpointSlice>> kEndpointSlice[] = {{"metadata", root_metadata}, {"endpoints", read_endpoints}};

// ---- HorizontalPodAutoscaler ----

void read_autoscaler_spec(value& v, Root<Autoscaler>& out, const Path& at) {
  simdjson::ondemand::object spec;
  read_hashed(v, spec, out.object.spec_hash, at);
}
// One that is switched off by a scale of 0 does as it was told.
void read_autoscaler_conditions(value& v, Autoscaler& out, const Path& at) {
  each_condition(v, at, [&](const PlainCondition& c) {
    const bool says_why = (c.type == "AbleToScale" || c.type == "ScalingActive") && c.reason != "ScalingDisabled";
    if (says_why && c.status == "False" && out.problem.empty()) out.problem = joined(c.reason, c.message);
  });
}
constexpr Field<Autoscaler> kAutoscalerStatus[] = {{"conditions", read_autoscaler_conditions}};
constexpr Field<Root<Autoscaler>> kAutoscaler[] = {
    {"metadata", root_metadata}, {"spec", read_autoscaler_spec}, {"status", root_part<kAutoscalerStatus>}};

// ---- Job ----

void read_job_conditions(value& v, Job& out, const Path& at) {
  each_condition(v, at, [&](const PlainCondition& c) {
    if (c.status != "True") return;
    if (c.type == "Complete") out.complete = true;
    if (c.type != "Complete" && c.type != "Failed") return;
    if (c.type == "Failed") {
      out.failed = true;
      out.failure_message = joined(c.reason, c.message);
    }
    if (!out.finished) out.finished = c.last_transition;
  });
}

void read_first_image(value& v, Job& out, const Path& at) {
  static constexpr Field<Job> kContainer[] = {{"image", member<&Job::image>}};
  bool first = true;
  each_item(v, at, [&](value& item, const Path& here) {
    if (std::exchange(first, false)) read_object(item, out, kContainer, here);
  });
}

constexpr Field<Job> kPodSpec[] = {{"containers", read_first_image}};
constexpr Field<Job> kPodTemplate[] = {{"spec", into<kPodSpec>}};
constexpr Field<Job> kJobSpec[] = {{"suspend", member<&Job::suspended>}, {"template", into<kPodTemplate>}};
constexpr Field<Job> kJobStatus[] = {{"conditions", read_job_conditions},
                                     {"active", member<&Job::active>},
                                     {"startTime", member<&Job::started>},
                                     {"completionTime", member<&Job::finished>}};
constexpr Field<Root<Job>> kJob[] = {
    {"metadata", root_metadata}, {"spec", root_part<kJobSpec>}, {"status", root_part<kJobStatus>}};

// ---- Pod ----

constexpr std::string_view kFetchContainer = "modelops-fetch";
// And, for parts and in Jobs that evaluate, with more behind it.
bool fetches(std::string_view container) {
  return container.starts_with(kFetchContainer) && (container.size() == kFetchContainer.size() || container[kFetchContainer.size()] == '-');
}
constexpr int kDigestMismatch = 65, kBadSignature = 76;  // exit codes of the fetch container

struct Terminated {
  int exit_code = 0;
  std::string reason, message;
  std::optional<TimePoint> started, finished;
};
constexpr Field<Terminated> kTerminated[] = {{"exitCode", member<&Terminated::exit_code>},
                                             {"startedAt", member<&Terminated::started>},
                                             {"finishedAt", member<&Terminated::finished>},
                                             {"reason", member<&Terminated::reason>},
                                             {"message", member<&Terminated::message>}};
bool read(value& v, Terminated& out, const Path& at) { return read_object(v, out, kTerminated, at); }

struct Waiting {
  std::string reason, message;
};
constexpr Field<Waiting> kWaiting[] = {{"reason", member<&Waiting::reason>},
                                       {"message", member<&Waiting::message>}};
bool read(value& v, Waiting& out, const Path& at) { return read_object(v, out, kWaiting, at); }

struct ContainerState {
  bool running = false;
  std::optional<TimePoint> running_since;
  std::optional<Waiting> waiting;
  std::optional<Terminated> terminated;
};
constexpr Field<ContainerState> kRunning[] = {{"startedAt", member<&ContainerState::running_since>}};
constexpr Field<ContainerState> kState[] = {{"running",
                                             [](value& v, ContainerState& out, const Path& at) {
                                               out.running = true;
                                               read_object(v, out, kRunning, at);
                                             }},
                                            {"waiting", member<&ContainerState::waiting>},
                                            {"terminated", member<&ContainerState::terminated>}};
bool read(value& v, ContainerState& out, const Path& at) { return read_object(v, out, kState, at); }

struct ContainerStatus {
  std::string name;
  ContainerState state, last_state;
  bool ready = false;
  int restarts = 0;
};
constexpr Field<ContainerStatus> kContainerStatus[] = {
    {"name", member<&ContainerStatus::name>},
    {"state", member<&ContainerStatus::state>},
    {"lastState", member<&ContainerStatus::last_state>},
    {"ready", member<&ContainerStatus::ready>},
    {"restartCount", member<&ContainerStatus::restarts>},
};
bool read(value& v, ContainerStatus& out, const Path& at) {
  return read_object(v, out, kContainerStatus, at);
}

// How the container ended, if it ended badly and did not end well since.
const Terminated* failure_of(const ContainerStatus& c) {
  if (c.state.terminated) return c.state.terminated->exit_code != 0 ? &*c.state.terminated : nullptr;
  const auto& last = c.last_state.terminated;
  return last && last->exit_code != 0 && !c.ready ? &*last : nullptr;
}

// "Back-off pulling image "x": ErrImagePull: no such image" and "ErrImagePull: no such image" take turns for
// as long as the image is missing. Said alike they do not turn into a status write each time.
std::string image_problem(const Waiting& waiting) {
  constexpr std::string_view kInner = "ErrImagePull: ";
  const size_t inner =
      waiting.reason == "ImagePullBackOff" ? waiting.message.find(kInner) : std::string::npos;
  return inner == std::string::npos ? joined(waiting.reason, waiting.message) : waiting.message.substr(inner);
}

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

// Like image_problem, the same words whether the container waits for its next try, runs it or has just failed
// it.
std::string crash_problem(const ContainerStatus& c, const Terminated& end) {
  if (fetches(c.name) && !trimmed(end.message).empty()) return trimmed(end.message);
  const std::string how = end.reason.empty() || end.reason == "Error" ? "" : " (" + end.reason + ")";
  return joined(std::string(c.restarts > 0 ? "CrashLoopBackOff: " : "") + "container " + c.name +
                    " ended with exit code " + std::to_string(end.exit_code) + how,
                trimmed(end.message));
}

std::string problem_of(const ContainerStatus& c) {
  if (const Terminated* end = failure_of(c)) return crash_problem(c, *end);
  const auto& waiting = c.state.waiting;
  if (!waiting || waiting->reason == "PodInitializing" || waiting->reason == "ContainerCreating") return "";
  return image_problem(*waiting);
}

struct PodStatus {
  std::string phase, reason, message;
  std::string unscheduled;
  bool ready = false;
  std::vector<ContainerStatus> init_containers, containers;
};
void read_pod_conditions(value& v, PodStatus& out, const Path& at) {
  each_condition(v, at, [&](const PlainCondition& c) {
    if (c.type == "Ready") out.ready = c.status == "True";
    if (c.type == "PodScheduled" && c.status == "False") out.unscheduled = joined(c.reason, c.message);
  });
}
constexpr Field<PodStatus> kPodStatus[] = {
    {"phase", member<&PodStatus::phase>},
    {"reason", member<&PodStatus::reason>},
    {"message", member<&PodStatus::message>},
    {"conditions", read_pod_conditions},
    {"initContainerStatuses", member<&PodStatus::init_containers>},
    {"containerStatuses", member<&PodStatus::containers>},
};

// The first of: no node, a container in the order they start, the pod as a whole (evicted).
std::string problem_of(const PodStatus& status) {
  if (status.ready) return "";
  if (!status.unscheduled.empty()) return status.unscheduled;
  for (const auto* containers : {&status.init_containers, &status.containers}) {
    for (const ContainerStatus& c : *containers) {
      if (std::string problem = problem_of(c); !problem.empty()) return problem;
    }
  }
  return status.phase == "Failed" ? joined(status.reason, status.message) : "";
}

// Between two fetch containers the pod still fetches.
void read_fetching(const std::vector<ContainerStatus>& containers, Pod& out) {
  std::optional<TimePoint> since, done;
  bool first_try = true, all = true;
  for (const ContainerStatus& c : containers) {
    if (!fetches(c.name)) continue;
    const auto& ended = c.state.terminated;
    first_try = first_try && c.restarts == 0 && (!ended || ended->exit_code == 0);
    const auto began = ended ? ended->started : c.state.running_since;
    if (began && (!since || *began < *since)) since = began;
    if (!ended || ended->exit_code != 0) all = false;
    if (ended && ended->finished && (!done || *done < *ended->finished)) done = ended->finished;
  }
  if (all) out.fetched_at = done;
  else if (first_try) out.fetching_since = since;
}

void read_pod_status(value& v, Root<Pod>& out, const Path& at) {
  PodStatus status;
  if (!read_object(v, status, kPodStatus, at)) return;
  out.object.ready = status.ready;
  out.object.ended = status.phase == "Failed" || status.phase == "Succeeded";
  const auto begun = [](const ContainerStatus& c) { return c.state.running || c.state.terminated; };
  out.object.begun = out.object.ended || status.phase == "Running" ||
                     std::any_of(status.init_containers.begin(), status.init_containers.end(), begun);
  out.object.problem = problem_of(status);
  read_fetching(status.init_containers, out.object);
  for (const ContainerStatus& c : status.init_containers) {
    const Terminated* end = failure_of(c);
    if (!fetches(c.name) || end == nullptr) continue;
    out.object.digest_mismatch |= end->exit_code == kDigestMismatch;
    out.object.bad_signature |= end->exit_code == kBadSignature;
  }
}
constexpr Field<Root<Pod>> kPod[] = {{"metadata", root_metadata}, {"status", read_pod_status}};

// ---- ConfigMap ----

constexpr Field<Root<ConfigMap>> kConfigMap[] = {{"metadata", root_metadata}};

// What came from the metadata, where each kind keeps it.
void take(Extra& extra, Deployment& out) {
  out.model = std::move(extra.model);
  out.version = std::move(extra.version);
  out.revision = std::move(extra.revision);
  out.applied_hash = std::move(extra.applied_hash);
  out.foreign_spec_manager = extra.foreign_spec_manager;
}
void take(Extra& extra, Service& out) {
  out.model = std::move(extra.model);
  out.applied_hash = std::move(extra.applied_hash);
  out.foreign_spec_manager = extra.foreign_spec_manager;
  out.applied_at = extra.applied_at;
}
void take(Extra& extra, HttpRoute& out) {
  out.model = std::move(extra.model);
  out.sessions_refused = std::move(extra.sessions_refused);
  out.applied_hash = std::move(extra.applied_hash);
  out.foreign_spec_manager = extra.foreign_spec_manager;
  out.applied_at = extra.applied_at;
}
void take(Extra& extra, EndpointSlice& out) {
  out.model = std::move(extra.model);
  out.service = std::move(extra.service);
}
void take(Extra& extra, Autoscaler& out) {
  out.model = std::move(extra.model);
  out.applied_hash = std::move(extra.applied_hash);
  out.foreign_spec_manager = extra.foreign_spec_manager;
}
void take(Extra& extra, Job& out) {
  out.model = std::move(extra.model);
  out.gate_of = std::move(extra.gate_of);
  out.gate = std::move(extra.gate);
  out.mirror_of = std::move(extra.mirror_of);
}
void take(Extra& extra, Pod& out) {
  out.model = std::move(extra.model);
  out.job_of = std::move(extra.job_of);
  out.version = std::move(extra.version);
  out.revision = std::move(extra.revision);
  if (!out.version.empty() && out.revision.empty()) out.template_hash = std::move(extra.template_hash);
}
void take(Extra& extra, ConfigMap& out) {
  if (extra.copy_of.empty() || extra.model.empty()) return;
  out.copy = std::make_shared<const ConfigMap::Copy>(
      ConfigMap::Copy{std::move(extra.model), std::move(extra.version), std::move(extra.revision), std::move(extra.copy_of),
                      std::move(extra.copied_at)});
}

template <class T, size_t N>
Result<T> parse_with(std::string_view json, const Field<Root<T>> (&table)[N], Coverage* coverage) {
  Report report{{}, {}, coverage};
  auto root = read_root(json, table, report);
  if (!root) return fail(root.error());
  take(root->extra, root->object);
  return std::move(root->object);
}

}  // namespace
}  // namespace read

template <>
Result<Deployment> parse<Deployment>(std::string_view json, Coverage* coverage) {
  return read::parse_with(json, read::kDeployment, coverage);
}
template <>
Result<Service> parse<Service>(std::string_view json, Coverage* coverage) {
  return read::parse_with(json, read::kService, coverage);
}
template <>
Result<HttpRoute> parse<HttpRoute>(std::string_view json, Coverage* coverage) {
  return read::parse_with(json, read::kHttpRoute, coverage);
}
template <>
Result<EndpointSlice> parse<EndpointSlice>(std::string_view json, Coverage* coverage) {
  return read::parse_with(json, read::kEndpointSlice, coverage);
}
template <>
Result<Autoscaler> parse<Autoscaler>(std::string_view json, Coverage* coverage) {
  return read::parse_with(json, read::kAutoscaler, coverage);
}
template <>
Result<Job> parse<Job>(std::string_view json, Coverage* coverage) {
  return read::parse_with(json, read::kJob, coverage);
}
template <>
Result<Pod> parse<Pod>(std::string_view json, Coverage* coverage) {
  return read::parse_with(json, read::kPod, coverage);
}
template <>
Result<ConfigMap> parse<ConfigMap>(std::string_view json, Coverage* coverage) {
  return read::parse_with(json, read::kConfigMap, coverage);
}

}  // namespace mo::api
