// Projection of every kind. Input: one object a line, read as each kind.
#include "operator/api/parse.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace mo;
using nlohmann::json;

// The member at a path, or null.
const json& at(const json& object, std::initializer_list<const char*> path) {
  static const json kNone;
  const json* here = &object;
  for (const char* name : path) {
    if (!here->is_object()) return kNone;
    const auto it = here->find(name);
    if (it == here->end()) return kNone;
    here = &*it;
  }
  return *here;
}

// A number the API can mean by a 64-bit field: nlohmann compares an unsigned one to a limit as if it were
// signed.
bool fits_int64(const json& value) {
  return value.is_number_unsigned() ? value.get<uint64_t>() <= uint64_t{INT64_MAX}
                                    : value.is_number_integer();
}
bool fits_int(const json& value) { return fits_int64(value) && value >= INT32_MIN && value <= INT32_MAX; }

void must_hold_text(const json& value, const std::string& held) {
  if (value.is_string()) MUST_SHOW(value == held, value.dump() + " but " + held);
}

// What each kind of a valid object must come out with.
void must_hold_meta(const json& object, const api::ObjectMeta& meta) {
  const json& metadata = at(object, {"metadata"});
  must_hold_text(at(metadata, {"name"}), meta.key.name);
  must_hold_text(at(metadata, {"namespace"}), meta.key.ns);
  must_hold_text(at(metadata, {"uid"}), meta.uid);
  must_hold_text(at(metadata, {"resourceVersion"}), meta.resource_version);
  MUST(at(metadata, {"deletionTimestamp"}).is_string() == meta.deleting);
  if (fits_int64(at(metadata, {"generation"}))) MUST(at(metadata, {"generation"}) == meta.generation);
  if (!at(metadata, {"ownerReferences"}).is_array()) return;
  size_t controllers = 0;  // there cannot be two
  for (const json& owner : metadata["ownerReferences"]) controllers += at(owner, {"controller"}) == true;
  if (controllers != 1) return;
  for (const json& owner : at(metadata, {"ownerReferences"}))
    if (at(owner, {"controller"}) == true && at(owner, {"uid"}).is_string() && at(owner, {"uid"}) != "")
      MUST(!meta.controller_uid.empty());
}

size_t objects_in(const json& list) {
  return static_cast<size_t>(
      std::count_if(list.begin(), list.end(), [](const json& item) { return item.is_object(); }));
}

void must_hold_policy(const json& policy, const api::RolloutPolicy& held) {
  if (!policy.is_object()) return;
  if (at(policy, {"steps"}).is_array()) MUST(held.steps.size() == objects_in(policy["steps"]));
  if (at(policy, {"gates"}).is_array()) MUST(held.gates.size() == objects_in(policy["gates"]));
  MUST(fuzz::json_of(held.raw) == policy);
}

void must_hold(const json& object, const api::Model& m) {
  must_hold_policy(at(object, {"spec", "rollout"}), m.rollout);
  if (!m.autoscaling && fits_int(at(object, {"spec", "serving", "replicas"})))
    MUST(at(object, {"spec", "serving", "replicas"}) == m.replicas);
  if (at(object, {"spec", "version"}).is_string())
    MUST(m.version == at(object, {"spec", "version"}).get<std::string>());
  if (at(object, {"status"}).is_object()) MUST(fuzz::json_of(m.status.raw) == object["status"]);
  must_hold_text(at(object, {"status", "stableVersion"}), m.status.stable_version);
  must_hold_text(at(object, {"status", "intent", "version"}), m.status.intent.version);
  MUST(fuzz::is_utf8(m.problem));
}
void must_hold(const json& object, const api::ModelVersion& v) {
  must_hold_text(at(object, {"spec", "modelRef", "name"}), v.model);
  must_hold_text(at(object, {"spec", "artifact", "digest"}), v.artifact.digest);
  if (at(object, {"status"}).is_object()) MUST(fuzz::json_of(v.status_raw) == object["status"]);
}
void must_hold(const json& object, const api::ModelRollout& r) {
  must_hold_text(at(object, {"spec", "desiredState"}), r.desired_state);
  must_hold_text(at(object, {"status", "phase"}), r.status.phase);
  if (r.status.finished && r.status.observed_generation == r.meta.generation) {
    MUST(r.status.raw.empty() && !r.status.policy && r.status.gates.empty() && r.status.conditions.empty());
    return;
  }
  if (r.status.policy) must_hold_policy(at(object, {"status", "policy"}), *r.status.policy);
  MUST(at(object, {"status", "policy"}).is_object() == r.status.policy.has_value());
  if (at(object, {"status"}).is_object()) MUST(fuzz::json_of(r.status.raw) == object["status"]);
}
void must_hold(const json& object, const api::TrainingRun& r) {
  must_hold_text(at(object, {"spec", "desiredState"}), r.desired_state);
  must_hold_text(at(object, {"status", "phase"}), r.status.phase);
  if (api::is_over(r) && r.status.observed_generation == r.meta.generation) {
    MUST(r.status.raw.empty() && r.status.trials.empty() && r.status.stages.empty());
    return;
  }
  if (at(object, {"status"}).is_object()) MUST(fuzz::json_of(r.status.raw) == object["status"]);
}
void must_hold(const json& object, const api::ModelRuntime& r) {
  const json& pod = at(object, {"spec", "template"});
  MUST(pod.is_null() ? r.pod_template.empty() : fuzz::json_of(r.pod_template) == pod);
}
void must_hold(const json& object, const api::GateSet& set) {
  const json& gates = at(object, {"spec", "gates"});
  MUST(gates.is_array() ? set.gates.size() <= gates.size() : set.gates.empty());
  const json& monitors = at(object, {"spec", "monitors"});
  MUST(monitors.is_array() ? set.monitors.size() <= monitors.size() : set.monitors.empty());
  if (at(object, {"spec"}).is_object()) MUST(fuzz::json_of(set.raw) == object["spec"]);
}
void must_hold(const json& object, const api::Deployment& d) {
  if (fits_int(at(object, {"spec", "replicas"}))) MUST(at(object, {"spec", "replicas"}) == d.replicas);
  must_hold_text(at(object, {"metadata", "annotations", api::kAnnotationApplied}), d.applied_hash);
  must_hold_text(at(object, {"metadata", "labels", api::kLabelModel}), d.model);
}
void must_hold(const json& object, const api::Service& s) {
  const json& selector = at(object, {"spec", "selector"});
  if (!selector.is_object()) return;
  for (const auto& [key, value] : selector.items())
    if (value.is_string()) MUST(s.selector.at(key) == value.get<std::string>());
}
void must_hold(const json& object, const api::HttpRoute& route) {
  must_hold_text(at(object, {"metadata", "labels", api::kLabelModel}), route.model);
}
void must_hold(const json& object, const api::EndpointSlice& slice) {
  const json& endpoints = at(object, {"endpoints"});
  MUST(slice.pods.size() <= (endpoints.is_array() ? endpoints.size() : 0));
  must_hold_text(at(object, {"metadata", "labels", api::kLabelService}), slice.service);
}
void must_hold(const json& object, const api::Autoscaler& a) {
  must_hold_text(at(object, {"metadata", "labels", api::kLabelModel}), a.model);
}
void must_hold(const json& object, const api::Job& job) {
  if (!at(object, {"status", "conditions"}).is_array()) return;
  for (const json& condition : at(object, {"status", "conditions"})) {
    if (at(condition, {"status"}) != "True") continue;
    if (at(condition, {"type"}) == "Complete") MUST(job.complete);
    if (at(condition, {"type"}) == "Failed") MUST(job.failed);
  }
}
void must_hold(const json&, const api::Pod& pod) { MUST(!pod.ready || pod.problem.empty()); }
void must_hold(const json&, const api::ConfigMap&) {}

bool has_name(const json& object) {
  const json& name = at(object, {"metadata", "name"});
  return name.is_string() && name != "";
}

template <class T>
void check(std::string_view text, const json& object) {
  const auto found = api::parse<T>(text);
  api::Coverage coverage;
  MUST(api::parse<T>(text, &coverage).has_value() == found.has_value());
  if (!found) {
    MUST(found.error().kind == ErrorKind::Malformed);
    MUST_SHOW(!has_name(object), found.error().message);
    return;
  }
  MUST(!found->meta.key.name.empty());
  if (object.is_object()) must_hold(object, *found), must_hold_meta(object, found->meta);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  for (const std::string_view text : fuzz::pieces(fuzz::view(data, size))) {
    const json object = fuzz::json_of(text);
    check<api::Model>(text, object);
    check<api::ModelVersion>(text, object);
    check<api::ModelRollout>(text, object);
    check<api::ModelRuntime>(text, object);
    check<api::TrainingRun>(text, object);
    check<api::ModelGateSet>(text, object);
    check<api::ClusterModelGateSet>(text, object);
    check<api::Deployment>(text, object);
    check<api::Service>(text, object);
    check<api::HttpRoute>(text, object);
    check<api::EndpointSlice>(text, object);
    check<api::Autoscaler>(text, object);
    check<api::Job>(text, object);
    check<api::Pod>(text, object);
    check<api::ConfigMap>(text, object);
  }
  return 0;
}
