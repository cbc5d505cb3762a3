#include "reconcilers/serving/render.h"

#include <algorithm>

#include "operator/api/statuses.h"
#include "operator/core/size.h"
#include "operator/core/text.h"
#include "operator/json/pod_config.h"
#include "operator/json/pod_defaults.h"
#include "operator/json/pod_template.h"
#include "operator/json/strategic_merge.h"
#include "reconcilers/common/names.h"
#include "reconcilers/common/side.h"
#include "reconcilers/serving/fetching.h"
#include "reconcilers/serving/reserved.h"

namespace mo::serving {
namespace {

constexpr size_t kRevisionDigits = 10;
// Every namespace has it, and its content has to follow the cluster's.
constexpr const char* kClusterCertificates = "kube-root-ca.crt";
constexpr const char* kOverlay = "spec.serving.template";
constexpr int kNobody = 65532;  // the user of our image

// check_reserved() has seen to it that no name is there twice.
void put_first(Json& object, const char* list, Json entries) {
  if (object.contains(list) && object[list].is_array())
    for (Json& entry : object[list]) entries.push_back(std::move(entry));
  object[list] = std::move(entries);
}

// What a template or a status says may be anything.
bool says(const Json& object, const char* field, const Json& value, const Json& otherwise = {}) {
  return object.is_object() && object.value(field, otherwise) == value;
}

Json* find_server(Json& pod_template) {
  if (!pod_template.contains("spec") || !pod_template["spec"].is_object()) return nullptr;
  Json& spec = pod_template["spec"];
  if (!spec.contains("containers") || !spec["containers"].is_array()) return nullptr;
  for (Json& container : spec["containers"])
    if (container.is_object() && container.value("name", Json()) == kServer) return &container;
  return nullptr;
}

Json& object_at(Json& parent, const char* name) {
  Json& child = parent[name];
  if (!child.is_object()) child = Json::object();
  return child;
}

// The Service targets the port by name, so that versions on runtimes with different ports can share it.
void name_port(Json& server, int port) {
  if (!server.contains("ports") || !server["ports"].is_array()) server["ports"] = Json::array();
  for (Json& entry : server["ports"]) {
    if (!entry.is_object() || entry.value("containerPort", Json()) != port) continue;
    entry["name"] = "http";
    return;
  }
  server["ports"].push_back({{"name", "http"}, {"containerPort", port}, {"protocol", "TCP"}});
}

void dress_server(Json& server, const api::Model& model, const api::ModelVersion& version,
                  const api::ModelRuntime& runtime, const std::vector<Bring>& brought) {
  Json variables = Json::array({{{"name", "MODEL_NAME"}, {"value", model.meta.key.name}},
                                {{"name", "MODEL_VERSION"}, {"value", version.meta.key.name}},
                                {{"name", "MODEL_PATH"}, {"value", std::string(kArtifactPath) + "/" + brought.front().output}}});
  for (const auto& [name, value] : part_variables(brought, kArtifactPath)) variables.push_back({{"name", name}, {"value", value}});
  put_first(server, "env", std::move(variables));
  put_first(server, "volumeMounts", artifact_mounts(brought));
  name_port(server, runtime.port);
  // A pod that ends is still known to proxies for a moment: it serves on meanwhile, or requests are lost.
  Json& lifecycle = object_at(server, "lifecycle");
  if (!lifecycle.contains("preStop")) lifecycle["preStop"] = {{"sleep", {{"seconds", 5}}}};
}

void dress_metadata(Json& pod_template, const api::Model& model, const api::ModelVersion& version,
                    const api::ModelRuntime& runtime, const std::string& revision) {
  Json& metadata = object_at(pod_template, "metadata");
  Json& labels = object_at(metadata, "labels");
  labels[api::kLabelManagedBy] = "model-operator";
  labels[api::kLabelModel] = model.meta.key.name;
  labels[api::kLabelVersion] = version.meta.key.name;
  if (!revision.empty()) labels[api::kLabelRevision] = revision;
  if (!runtime.metrics_port) return;
  Json& annotations = object_at(metadata, "annotations");
  annotations["prometheus.io/scrape"] = "true";
  annotations["prometheus.io/port"] = std::to_string(*runtime.metrics_port);
  annotations["prometheus.io/path"] = runtime.metrics_path;
}

Result<Json> read_free(const RawJson& pod_template, const std::string& where, TemplateRole role) {
  Result<Json> read = read_pod_template(pod_template, where, role);
  if (!read) return read;
  if (const auto free = check_reserved(*read, where); !free) return fail(free.error());
  return read;
}

// The runtime's template with the Model's laid over it: what people want, before the operator adds to it.
Result<Json> merged_template(const api::Model& model, const api::ModelRuntime& runtime) {
  Result<Json> base = read_template(runtime);
  if (!base || model.template_overlay.empty()) return base;
  const Result<Json> overlay = read_template(model);
  if (!overlay) return overlay;
  Json merged = merge_pod_template(std::move(*base), *overlay);
  // Each by itself is free of what is reserved, but a mount may have lost its readOnly.
  if (const auto free = check_reserved(merged, kOverlay); !free) return fail(free.error());
  return merged;
}

// Names of parts and of image volumes are the operator's only where there are such, or a template that served before there were any would not serve any more.
Result<void> free_for(const std::vector<Bring>& brought, const Json& merged, const api::Model& model, const api::ModelVersion& version,
                      const api::ModelRuntime& runtime) {
  const std::string where = model.template_overlay.empty() ? "ModelRuntime " + runtime.meta.key.name + ": spec.template" : kOverlay;
  if (has_image_volumes(brought))
    if (const auto free = check_no_artifact_volume(merged, where); !free) return free;
  if (version.parts.empty()) return {};
  std::vector<std::string> parts;
  for (const api::Part& part : version.parts) parts.push_back(part.name);
  return check_reserved(merged, where, parts);
}

// What a revision is made of, as far as people say it.
struct Ingredients {
  std::vector<Bring> brought;
  Json pods;  // the runtime's template with the Model's laid over it
  std::string name;
};

std::string name_of(const api::Model& model, const api::ModelVersion& version, const api::ModelRuntime& runtime, const std::vector<Bring>& brought,
                    const Json& pods) {
  Json of = {version.meta.key.name, api::to_json(version.artifact), pods, runtime.port};
  if (runtime.metrics_port) of.insert(of.end(), {*runtime.metrics_port, runtime.metrics_path});
  if (!model.pin_config) of.push_back("unpinned");
  if (has_image_volumes(brought)) of.push_back("image volumes");
  if (!version.parts.empty()) of.push_back(api::to_json(version.parts));
  return hash_of(of.dump()).substr(0, kRevisionDigits);
}

Result<Ingredients> ingredients_of(const api::Model& model, const api::ModelVersion& version, const api::ModelRuntime& runtime) {
  Result<std::vector<Bring>> brought = what_to_bring(version.artifact, version.parts, model.image_volumes.value_or(runtime.image_volumes));
  if (!brought) return fail(brought.error());
  Result<Json> merged = merged_template(model, runtime);
  if (!merged) return fail(merged.error());
  if (const auto free = free_for(*brought, *merged, model, version, runtime); !free) return fail(free.error());
  if (!find_server(*merged))
    return fail(ErrorKind::Invalid, "the pod template of ModelRuntime " + runtime.meta.key.name +
                                        " merged with the Model's template has no container named server");
  std::string name = name_of(model, version, runtime, *brought, without_defaults(*merged));
  return Ingredients{std::move(*brought), std::move(*merged), std::move(name)};
}

// Those that the template does not name itself.
void add_pull_secrets(Json& spec, const std::vector<std::string>& names) {
  Json further = Json::array();
  for (const std::string& name : names) {
    const Json said = spec.value("imagePullSecrets", Json::array());
    if (std::none_of(said.begin(), said.end(), [&](const Json& one) { return says(one, "name", name); })) further.push_back({{"name", name}});
  }
  if (!further.empty()) put_first(spec, "imagePullSecrets", std::move(further));
}

// What the operator adds.
void dress(Ingredients& of, const api::Model& model, const api::ModelVersion& version, const api::ModelRuntime& runtime,
           const Settings& settings, const std::string& revision) {
  dress_server(*find_server(of.pods), model, version, runtime, of.brought);
  dress_metadata(of.pods, model, version, runtime, revision);
  Json& spec = of.pods["spec"];
  put_first(spec, "volumes", fetch_volumes(of.brought));
  put_first(spec, "initContainers", fetch_containers(of.brought, settings.fetch_image, spec.value("securityContext", Json())));
  add_pull_secrets(spec, pull_secrets(of.brought));
}

// For a template that changes while its version serves.
Json surge_of(const api::Model& model, bool in_place) {
  if (!model.max_surge) return {{"maxUnavailable", 0}, {"maxSurge", "25%"}};
  const int surge = in_place ? 0 : *model.max_surge;
  return {{"maxUnavailable", surge == 0 ? 1 : 0}, {"maxSurge", surge}};
}

bool is_80(const Json& port) { return says(port, "port", 80) && says(port, "protocol", "TCP", "TCP"); }
bool has_80(const Json& ports) { return std::any_of(ports.begin(), ports.end(), is_80); }

// The one that requests come by, of a Service that others made.
std::optional<size_t> requests_port(const Json& ports) {
  for (size_t i = 0; i < ports.size(); ++i)
    if (says(ports[i], "name", "http")) return i;
  for (size_t i = 0; i < ports.size(); ++i)
    if (is_80(ports[i])) return i;
  return ports.size() == 1 && ports[0].is_object() ? std::optional<size_t>(0) : std::nullopt;
}

// The ports that callers of an adopted Service know, as they are called; the rest of our Service expects one on 80 where a
// route leads to it.
Json turned_ports(const std::string& service, bool routed) {
  const Result<Json> was = parse_json(service, 1 << 16);
  if (!was || !was->is_object() || !was->contains("ports") || !(*was)["ports"].is_array()) return {};
  Json ports = (*was)["ports"];
  const std::optional<size_t> main = requests_port(ports);
  if (!main) return {};
  ports[*main]["targetPort"] = "http";
  if (!routed || has_80(ports)) return ports;
  for (Json& port : ports)
    if (port.is_object() && !port.contains("name")) port["name"] = "adopted";
  ports.push_back({{"name", "modelops-route"}, {"port", 80}, {"protocol", "TCP"}, {"targetPort", "http"}});
  return ports;
}

}  // namespace

Rendered sealed(Json body) {
  std::string hash = hash_of(body.dump());
  body["metadata"]["annotations"][api::kAnnotationApplied] = hash;
  Rendered rendered;
  rendered.body = std::move(body);
  rendered.hash = std::move(hash);
  return rendered;
}

Json restricted(const Json& pod_security) {
  Json context = {{"allowPrivilegeEscalation", false},
                  {"readOnlyRootFilesystem", true},
                  {"runAsNonRoot", true},
                  {"capabilities", {{"drop", {"ALL"}}}},
                  {"seccompProfile", {{"type", "RuntimeDefault"}}}};
  // A server that runs as root would make the kubelet refuse this container. Any other user may be the one that reads the claim.
  if (pod_security.is_object() && pod_security.value("runAsUser", Json()) == 0) context["runAsUser"] = kNobody;
  return context;
}

Result<Json> read_template(const api::Model& model) {
  return read_free(model.template_overlay, kOverlay, TemplateRole::Overlay);
}

Result<Json> read_template(const api::ModelRuntime& runtime) {
  return read_free(runtime.pod_template, "ModelRuntime " + runtime.meta.key.name + ": spec.template", TemplateRole::Whole);
}

Result<Ref<api::ModelRuntime>> choose_runtime(const api::Model& model, const api::Format& format,
                                              const std::vector<Ref<api::ModelRuntime>>& runtimes) {
  if (model.runtime) {
    for (const auto& runtime : runtimes)
      if (runtime->meta.key.name == *model.runtime) return runtime;
    return fail(ErrorKind::NotFound, "ModelRuntime " + *model.runtime +
                                         " does not exist: create it or change spec.serving.runtime");
  }
  Ref<api::ModelRuntime> best;
  for (const auto& runtime : runtimes) {
    const bool serves =
        std::any_of(runtime->formats.begin(), runtime->formats.end(), [&](const api::Format& f) {
          return f.name == format.name &&
                 (f.version == format.version || f.version.empty() || format.version.empty());
        });
    if (!serves) continue;
    if (!best || runtime->priority > best->priority ||
        (runtime->priority == best->priority && runtime->meta.key.name < best->meta.key.name))
      best = runtime;
  }
  if (best) return best;
  return fail(ErrorKind::NotFound, "no ModelRuntime serves format " + format.name +
                                       (format.version.empty() ? "" : " version " + format.version) +
                                       ": create one or name one in spec.serving.runtime");
}

std::string asked_of(const api::Model& model) {
  Json said = {model.runtime.value_or(""), model.template_overlay, model.pin_config};
  if (model.image_volumes) said.push_back(*model.image_volumes);
  return hash_of(said.dump());
}

Result<std::string> revision_name(const api::Model& model, const api::ModelVersion& version, const api::ModelRuntime& runtime) {
  Result<Ingredients> of = ingredients_of(model, version, runtime);
  if (!of) return fail(of.error());
  return std::move(of->name);
}

std::vector<std::string> revision_names(const api::Model& model, const api::ModelVersion& version, const api::ModelRuntime& runtime) {
  const Result<Ingredients> of = ingredients_of(model, version, runtime);
  if (!of) return {};
  std::vector<std::string> names = {of->name};
  if (std::string before = name_of(model, version, runtime, of->brought, of->pods); before != names.front()) names.push_back(std::move(before));
  return names;
}

bool is_revision(const std::string& name, const api::Model& model, const api::ModelVersion& version, const api::ModelRuntime& runtime) {
  const std::vector<std::string> names = revision_names(model, version, runtime);
  return std::find(names.begin(), names.end(), name) != names.end();
}

Result<api::Revision> make_revision(const api::Model& model, const api::ModelVersion& version, const api::ModelRuntime& runtime,
                                    const Settings& settings, bool unlabelled) {
  Result<Ingredients> of = ingredients_of(model, version, runtime);
  if (!of) return fail(of.error());
  api::Revision revision{of->name, deployment_name(model.meta.key.name, version.meta.key.name), unlabelled, !model.pin_config, asked_of(model), {}};
  dress(*of, model, version, runtime, settings, revision.label());
  revision.pod_template = of->pods.dump();
  return revision;
}

Result<api::Revision> make_revision_as(const api::Model& model, const api::ModelVersion& version, const api::ModelRuntime& runtime,
                                       const Settings& settings, const api::Revision& record) {
  Result<Ingredients> of = ingredients_of(model, version, runtime);
  if (!of) return fail(of.error());
  dress(*of, model, version, runtime, settings, record.label());
  api::Revision revision = record;
  revision.pod_template = of->pods.dump();
  return revision;
}

Result<Rendered> render_deployment(const api::Model& model, const std::string& version, const api::Revision& revision,
                                   const std::map<std::string, std::string>& copies, bool in_place) {
  Result<Json> pods = parse_json(revision.pod_template, 1u << 20);
  if (!pods || !pods->is_object())
    return fail(ErrorKind::Invalid, "the pod template of revision " + revision.name + " of " + version + ", in status, cannot be read");
  Json body = object_of(model, Kind::Deployment, revision.deployment);
  Json& labels = body["metadata"]["labels"];
  labels[api::kLabelVersion] = version;
  Json selected = {{api::kLabelModel, model.meta.key.name}, {api::kLabelVersion, version}};
  if (!revision.unlabelled) labels[api::kLabelRevision] = revision.name;
  // The first of a version may still be mended, and the selector of a Deployment never changes.
  if (revision.deployment != deployment_name(model.meta.key.name, version)) selected[api::kLabelRevision] = revision.name;
  std::map<std::string, bool> configs;
  if (!revision.unpinned) configs = configs_of(*pods);
  configs.erase(kClusterCertificates);
  for (const std::string& name : configs_fetched(*pods)) configs.erase(name);
  rename_configs(*pods, copies);
  body["spec"] = {
      {"selector", {{"matchLabels", std::move(selected)}}},
      {"progressDeadlineSeconds",
       std::chrono::duration_cast<std::chrono::seconds>(model.rollout.progress_deadline).count()},
      {"revisionHistoryLimit", 1},
      {"strategy", model.rollout.strategy == api::RolloutPolicy::Strategy::Recreate
                       ? Json{{"type", "Recreate"}}
                       : Json{{"type", "RollingUpdate"}, {"rollingUpdate", surge_of(model, in_place)}}},
      {"template", std::move(*pods)}};
  Rendered rendered = sealed(std::move(body));
  for (const auto& [name, optional] : configs)
    if (!copies.count(name)) rendered.unpinned[name] = optional;
  return rendered;
}

Result<Rendered> render_deployment(const api::Model& model, const api::ModelVersion& version,
                                   const api::ModelRuntime& runtime, const Settings& settings,
                                   const std::map<std::string, std::string>& copies, bool in_place) {
  Result<api::Revision> revision = make_revision(model, version, runtime, settings);
  if (!revision) return fail(revision.error());
  return render_deployment(model, version.meta.key.name, *revision, copies, in_place);
}

void set_replicas(Json& deployment, int replicas) { deployment["spec"]["replicas"] = replicas; }

Rendered render_service(const api::Model& model, const std::string& name, const std::string& side, const std::string& template_hash) {
  Json body = object_of(model, Kind::Service, name);
  Json selector = {{api::kLabelModel, model.meta.key.name}};
  if (!side.empty()) selector[api::kLabelVersion] = version_of(side);
  if (const std::string revision = revision_of(side); !revision.empty()) selector[api::kLabelRevision] = revision;
  if (!template_hash.empty()) selector[api::kLabelTemplateHash] = template_hash;
  body["spec"] = {{"selector", std::move(selector)},
                  {"ports", {{{"name", "http"}, {"port", 80}, {"protocol", "TCP"}, {"targetPort", "http"}}}}};
  const auto& adopted = model.status.adopted;
  if (adopted && !adopted->service_uid.empty() && name == model.meta.key.name) {
    // It was there before the Model, and is to be there after it. As long as the Deployment serves nothing is to be given back.
    if (model.adopt && model.meta.held() && adopted->phase != "Serving") body["metadata"].erase("ownerReferences");
    if (Json ports = turned_ports(adopted->service, model.route.has_value()); !ports.empty()) body["spec"]["ports"] = std::move(ports);
  }
  return sealed(std::move(body));
}

Result<Json> render_returned_service(const api::Model& model) {
  const api::Adopted& adopted = *model.status.adopted;
  Result<Json> was = parse_json(adopted.service, 1 << 16);
  if (!was || !was->is_object()) return fail(ErrorKind::Invalid, "status.adopted.service cannot be read");
  const KindInfo& kind = info(Kind::Service);
  Json body = {{"apiVersion", kind.api_version()},
               {"kind", kind.kind},
               {"metadata", {{"name", model.meta.key.name}, {"namespace", model.meta.key.ns}, {"uid", adopted.service_uid}}}};
  if (const Json& by = (*was)["managedBy"]; by.is_string() && by != "")
    body["metadata"]["labels"] = {{"app.kubernetes.io/managed-by", by}};
  body["spec"] = {{"selector", (*was)["selector"]}, {"ports", (*was)["ports"]}};
  return body;
}

std::string ports_problem(const Json& ports, bool routed) {
  const std::optional<size_t> main = requests_port(ports);
  if (!main) return "the Service has several ports and none is named http: name the port of requests http";
  if (routed && has_80(ports) && !is_80(ports[*main]))
    return "the route uses port 80 of the Service, which is not the port named http: rename the port named http";
  return "";
}

Json labels_of_pods(const api::Model& model) {
  Json labels = {{api::kLabelModel, model.meta.key.name}};
  const Result<Json> overlay = read_pod_template(model.template_overlay, "", TemplateRole::Overlay);
  if (!overlay) return labels;  // its pods are not made
  const Json wanted = overlay->value("/metadata/labels"_json_pointer, Json::object());
  if (wanted.is_object()) labels.update(wanted);
  return labels;
}

Result<Copied> render_copy(const api::Model& model, const std::string& side, const std::string& source,
                           const std::string& source_version, const std::string& content) {
  Result<Json> parsed = parse_json(content, 4u << 20);
  if (!parsed || !(parsed->is_object() || parsed->is_null()))
    return fail(ErrorKind::Invalid, "ConfigMap " + source + " cannot be copied: its content cannot be read");
  const std::string revision = revision_of(side), version = version_of(side);
  const std::string of = revision.empty() ? "" : "\n" + revision;
  const std::string hash = hash_of(source + "\n" + content + of).substr(0, 10);
  const std::string name = deployment_name(model.meta.key.name, version) + "-" + hash;
  Json body = object_of(model, Kind::ConfigMap, name);
  body["metadata"]["labels"][api::kLabelVersion] = version;
  if (!revision.empty()) body["metadata"]["labels"][api::kLabelRevision] = revision;
  body["metadata"]["annotations"] = {{api::kAnnotationCopyOf, source}, {api::kAnnotationCopiedAt, source_version}};
  body["immutable"] = true;
  if (parsed->is_object()) body.update(*parsed);
  return Copied{name, std::move(body)};
}

Result<Rendered> render_autoscaler(const api::Model& model) {
  const api::Model::Autoscaling& a = *model.autoscaling;
  Result<Json> metrics = parse_json(a.metrics, 1 << 16);
  if (!metrics) return fail(ErrorKind::Invalid, "spec.serving.autoscaling.metrics: " + metrics.error().message);
  Json body = object_of(model, Kind::HorizontalPodAutoscaler, model.meta.key.name);
  body["spec"] = {
      {"scaleTargetRef", {{"apiVersion", api::kApiVersion}, {"kind", "Model"}, {"name", model.meta.key.name}}},
      {"minReplicas", a.min},
      {"maxReplicas", a.max},
      {"metrics", std::move(*metrics)}};
  if (!a.behavior.empty()) {
    Result<Json> behavior = parse_json(a.behavior, 1 << 16);
    if (!behavior) return fail(ErrorKind::Invalid, "spec.serving.autoscaling.behavior: " + behavior.error().message);
    body["spec"]["behavior"] = std::move(*behavior);
  }
  return sealed(std::move(body));
}

namespace {
// Of HTTPRoute: these headers on every answer. Null: none.
Json header_filter(const std::map<std::string, std::string>& headers) {
  if (headers.empty()) return nullptr;
  Json set = Json::array();
  for (const auto& [name, value] : headers) set.push_back({{"name", name}, {"value", value}});
  return {{"type", "ResponseHeaderModifier"}, {"responseHeaderModifier", {{"set", std::move(set)}}}};
}
}  // namespace

std::string session_wish(const api::Model& model) {
  const RawJson& wish = model.route->session_persistence;
  return wish.empty() ? "" : hash_of(wish);
}

Result<Rendered> render_route(const api::Model& model, const std::map<std::string, int>& weights, const RouteRules& route_rules, bool sticky,
                              const std::map<std::string, std::string>& headers) {
  Result<Json> parents = parse_json(model.route->parent_refs, 1 << 16);
  if (!parents) return fail(ErrorKind::Invalid, "spec.serving.route.parentRefs: " + parents.error().message);
  Json backends = Json::array();
  for (const auto& [service, weight] : weights)
    backends.push_back({{"name", service}, {"port", 80}, {"weight", weight}});
  Json everybody = {{"backendRefs", std::move(backends)}};
  const Json on_answers = header_filter(headers);
  const Json side = {{"name", candidate_service_name(model.meta.key.name)}, {"port", 80}};
  if (route_rules.mirrored)
    everybody["filters"] = {{{"type", "RequestMirror"}, {"requestMirror", {{"backendRef", side}}}}};
  if (!on_answers.is_null()) everybody["filters"].push_back(on_answers);
  const std::string wish = session_wish(model);
  if (!wish.empty() && sticky) {
    Result<Json> sessions = parse_json(model.route->session_persistence, 1 << 12);
    if (!sessions) return fail(ErrorKind::Invalid, "spec.serving.route.sessionPersistence: " + sessions.error().message);
    everybody["sessionPersistence"] = std::move(*sessions);
  }
  Json rules = Json::array();
  if (!route_rules.header_matches.empty()) {
    Json matches = Json::array();
    for (const api::HeaderMatch& header : route_rules.header_matches)
      matches.push_back({{"type", header.regular_expression ? "RegularExpression" : "Exact"},
                         {"name", header.name},
                         {"value", header.value}});
    rules.push_back({{"matches", {{{"headers", std::move(matches)}}}}, {"backendRefs", {side}}});
    if (!on_answers.is_null()) rules.back()["filters"] = Json::array({on_answers});
  }
  rules.push_back(std::move(everybody));
  Json body = object_of(model, Kind::HttpRoute, model.meta.key.name);
  if (!wish.empty() && !sticky) body["metadata"]["annotations"][api::kAnnotationNotSticky] = wish;
  body["spec"] = {{"parentRefs", std::move(*parents)}, {"rules", std::move(rules)}};
  if (!model.route->hostnames.empty()) body["spec"]["hostnames"] = model.route->hostnames;
  return sealed(std::move(body));
}

Result<Mounted> mount_artifact(Json& pod_spec, const api::Artifact& artifact, const std::vector<api::Part>& parts, const std::string& role,
                               const Settings& settings) {
  const Result<std::vector<Bring>> brought = what_to_bring(artifact, parts);
  if (!brought) return fail(brought.error());
  put_first(pod_spec, "volumes", fetch_volumes(*brought, role));
  put_first(pod_spec, "initContainers",
            fetch_containers(*brought, settings.fetch_image, pod_spec.value("securityContext", Json()), role));
  const std::string path = std::string(kArtifactPath) + "/" + role;
  if (pod_spec.contains("containers") && pod_spec["containers"].is_array())
    for (Json& container : pod_spec["containers"])
      if (container.is_object())
        put_first(container, "volumeMounts",
                  Json::array({{{"name", std::string(kArtifactVolume) + "-" + role}, {"mountPath", path}, {"readOnly", true}}}));
  return Mounted{path + "/" + brought->front().output, part_variables(*brought, path)};
}

}  // namespace mo::serving
