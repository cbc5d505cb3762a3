#include "operator/json/pod_defaults.h"

namespace mo {
namespace {

Json* member(Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(name);
  return it == object.end() ? nullptr : &*it;
}

template <class F>
void each(Json* list, const F& f) {
  if (list && list->is_array())
    for (Json& item : *list) f(item);
}

// Takes away what `object` says as `defaults` do.
void drop(Json* object, const Json& defaults) {
  if (!object || !object->is_object()) return;
  for (const auto& [name, value] : defaults.items())
    if (const auto it = object->find(name); it != object->end() && *it == value) object->erase(it);
}

void of_handler(Json* handler) {
  static const Json kHttp = {{"scheme", "HTTP"}, {"path", "/"}};
  if (handler) drop(member(*handler, "httpGet"), kHttp);
}

void of_probe(Json* probe) {
  static const Json kProbe = {{"timeoutSeconds", 1}, {"periodSeconds", 10}, {"successThreshold", 1}, {"failureThreshold", 3}, {"initialDelaySeconds", 0}};
  drop(probe, kProbe);
  of_handler(probe);
}

// A moving tag is pulled each time, any other once.
void of_image(Json& container) {
  const Json* image = member(container, "image");
  if (!image || !image->is_string()) return;
  const std::string& name = image->get_ref<const std::string&>();
  const std::string last = name.substr(name.rfind('/') + 1);
  const size_t colon = last.find(':');
  const bool moves = last.find('@') == std::string::npos && (colon == std::string::npos || last.substr(colon) == ":latest");
  drop(&container, {{"imagePullPolicy", moves ? "Always" : "IfNotPresent"}});
}

// A request that is not made is as high as the limit.
void of_resources(Json& container) {
  Json* resources = member(container, "resources");
  Json* requests = resources ? member(*resources, "requests") : nullptr;
  const Json* limits = resources ? member(*resources, "limits") : nullptr;
  if (limits && limits->is_object()) drop(requests, *limits);
  drop(resources, {{"requests", Json::object()}, {"limits", Json::object()}});
  drop(&container, {{"resources", Json::object()}});
}

void of_container(Json& container) {
  static const Json kContainer = {{"terminationMessagePath", "/dev/termination-log"}, {"terminationMessagePolicy", "File"}, {"stdin", false}, {"stdinOnce", false},
                                  {"tty", false}, {"securityContext", Json::object()}};
  drop(&container, kContainer);
  of_image(container);
  of_resources(container);
  each(member(container, "ports"), [](Json& port) { drop(&port, {{"protocol", "TCP"}}); });
  each(member(container, "volumeMounts"), [](Json& mount) { drop(&mount, {{"readOnly", false}}); });
  each(member(container, "env"), [](Json& variable) {
    drop(&variable, {{"value", ""}});
    if (Json* from = member(variable, "valueFrom")) drop(member(*from, "fieldRef"), {{"apiVersion", "v1"}});
  });
  for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"}) of_probe(member(container, probe));
  if (Json* lifecycle = member(container, "lifecycle"))
    for (const char* hook : {"postStart", "preStop"}) of_handler(member(*lifecycle, hook));
}

void of_volume(Json& volume) {
  for (const char* source : {"configMap", "secret", "projected", "downwardAPI"}) drop(member(volume, source), {{"defaultMode", 0644}});
  drop(member(volume, "emptyDir"), {{"medium", ""}});
  drop(member(volume, "hostPath"), {{"type", ""}});
}

}  // namespace

Json without_defaults(Json pod_template) {
  static const Json kSpec = {{"restartPolicy", "Always"}, {"dnsPolicy", "ClusterFirst"}, {"schedulerName", "default-scheduler"},
                             {"terminationGracePeriodSeconds", 30}, {"enableServiceLinks", true}, {"securityContext", Json::object()},
                             {"hostNetwork", false}, {"hostPID", false}, {"hostIPC", false}};
  Json* spec = member(pod_template, "spec");
  if (!spec) return pod_template;
  drop(spec, kSpec);
  for (const char* containers : {"initContainers", "containers"}) each(member(*spec, containers), of_container);
  each(member(*spec, "volumes"), of_volume);
  return pod_template;
}

}  // namespace mo
