// Deployments, Services, HTTPRoutes, EndpointSlices, autoscalers, Jobs and ConfigMaps, as far as the operator looks at them.
#include "operator/api/parse.h"
#include "operator/api/read.h"
#include "operator/api/read_kubernetes.h"
#include "operator/json/json.h"

namespace mo::api {
namespace read {
namespace {

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

// ---- ConfigMap ----

constexpr Field<Root<ConfigMap>> kConfigMap[] = {{"metadata", root_metadata}};

}  // namespace

// What came from the metadata, where each kind keeps it.
static void take(Extra& extra, Deployment& out) {
  out.model = std::move(extra.model);
  out.version = std::move(extra.version);
  out.revision = std::move(extra.revision);
  out.applied_hash = std::move(extra.applied_hash);
  out.foreign_spec_manager = extra.foreign_spec_manager;
}
static void take(Extra& extra, Service& out) {
  out.model = std::move(extra.model);
  out.applied_hash = std::move(extra.applied_hash);
  out.foreign_spec_manager = extra.foreign_spec_manager;
  out.applied_at = extra.applied_at;
}
static void take(Extra& extra, HttpRoute& out) {
  out.model = std::move(extra.model);
  out.sessions_refused = std::move(extra.sessions_refused);
  out.applied_hash = std::move(extra.applied_hash);
  out.foreign_spec_manager = extra.foreign_spec_manager;
  out.applied_at = extra.applied_at;
}
static void take(Extra& extra, EndpointSlice& out) {
  out.model = std::move(extra.model);
  out.service = std::move(extra.service);
}
static void take(Extra& extra, Autoscaler& out) {
  out.model = std::move(extra.model);
  out.applied_hash = std::move(extra.applied_hash);
  out.foreign_spec_manager = extra.foreign_spec_manager;
}
static void take(Extra& extra, Job& out) {
  out.model = std::move(extra.model);
  out.gate_of = std::move(extra.gate_of);
  out.gate = std::move(extra.gate);
  out.mirror_of = std::move(extra.mirror_of);
}
static void take(Extra& extra, ConfigMap& out) {
  if (extra.copy_of.empty() || extra.model.empty()) return;
  out.copy = std::make_shared<const ConfigMap::Copy>(
      ConfigMap::Copy{std::move(extra.model), std::move(extra.version), std::move(extra.revision), std::move(extra.copy_of),
                      std::move(extra.copied_at)});
}

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
Result<ConfigMap> parse<ConfigMap>(std::string_view json, Coverage* coverage) {
  return read::parse_with(json, read::kConfigMap, coverage);
}

}  // namespace mo::api
