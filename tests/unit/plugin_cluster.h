// A cluster as the plugin sees it: objects by kind, kinds that may not be read, and what was written.
#pragma once

#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "operator/json/json.h"
#include "plugin/fields.h"
#include "plugin/session.h"
#include "tests/unit/runtime_fake_client.h"

namespace mo::plugin::test {

inline const TimePoint kNoon = *parse_time("2026-11-22T12:00:00Z");

class ClusterClient : public FakeClient {
 public:
  std::map<Kind, std::vector<Json>> objects;
  std::set<Kind> forbidden;

  Result<std::string> list(Kind kind, const kube::ListOptions& options, std::stop_token) override {
    if (forbidden.contains(kind)) return fail(ErrorKind::Forbidden, std::string(info(kind).plural) + " is forbidden");
    Json found = {{"metadata", {{"resourceVersion", "1"}}}, {"items", Json::array()}};
    for (const Json& object : objects[kind])
      if (in(options.ns, object) && labelled(options.label_selector, object) && of(options.field_selector, object))
        found["items"].push_back(object);
    return found.dump();
  }
  Result<std::string> get(const ObjectRef& ref, std::stop_token) override {
    for (const Json& object : objects[ref.kind])
      if (name_of(object) == ref.key.name && in(ref.key.ns, object)) return with_kind(object, ref.kind).dump();
    return fail(ErrorKind::NotFound, ref.to_string() + " not found");
  }

 private:
  static bool in(const std::string& ns, const Json& object) {
    return ns.empty() || text(object, "metadata.namespace") == ns;
  }
  // "app=a" of labels without dots and slashes; of others, none is asked for here.
  static bool labelled(const std::string& selector, const Json& object) {
    const size_t equals = selector.find('=');
    return equals == std::string::npos ||
           object.value(Json::json_pointer("/metadata/labels"), Json::object()).value(selector.substr(0, equals), "") ==
               selector.substr(equals + 1);
  }
  static bool of(const std::string& selector, const Json& object) {
    constexpr std::string_view prefix = "spec.modelRef.name=";
    return selector.empty() || text(object, "spec.modelRef.name") == selector.substr(prefix.size());
  }
};

struct Printed {
  std::ostringstream out, err;
  Session session(kube::Client& client) {
    return {client, "ns", out, err, [] { return kNoon; }};
  }
};

inline Json model_named(const std::string& name, const std::string& ns = "ns", const Json& labels = Json::object()) {
  return {{"apiVersion", "modelops.dev/v1alpha1"},
          {"kind", "Model"},
          {"metadata",
           {{"name", name}, {"namespace", ns}, {"uid", "u-" + name}, {"resourceVersion", "9"}, {"generation", 1}, {"labels", labels}}},
          {"spec", {{"version", name + "-v1"}}},
          {"status", {{"stableVersion", name + "-v1"}, {"observedGeneration", 1}, {"phase", "Ready"}}}};
}

inline Json rollout_of(const std::string& model, const std::string& name, const std::string& phase) {
  return {{"apiVersion", "modelops.dev/v1alpha1"},
          {"kind", "ModelRollout"},
          {"metadata",
           {{"name", name}, {"namespace", "ns"}, {"uid", "u-" + name}, {"resourceVersion", "7"}, {"generation", 1},
            {"creationTimestamp", "2026-11-22T09:00:00Z"}}},
          {"spec", {{"modelRef", {{"name", model}}}, {"version", model + "-v2"}}},
          {"status", {{"phase", phase}, {"startedAt", "2026-11-22T09:00:00Z"}, {"fromVersion", model + "-v1"}}}};
}

}  // namespace mo::plugin::test
