#include "tests/sim/fixture.h"

namespace mo::sim {

std::string digest(const std::string& seed) {
  return "sha256:" + hash_of(seed) + hash_of(seed + "1") + hash_of(seed + "2") + hash_of(seed + "3");
}

Json prometheus_gate(const std::string& name, const std::string& min) {
  return {{"name", name},
          {"prometheus", {{"query", name + " {{candidate}}"}}},
          {"min", min},
          {"interval", "10s"}};
}

Json canary_steps() {
  return Json::parse(
      R"([{"weight": 10}, {"pause": {"duration": "1m"}}, {"gates": ["accuracy"]}, {"weight": 50}, {"gates": ["accuracy"]}])");
}

Fixture::Fixture(Sim& sim) : s(sim) {
  model_spec = {{"version", "m-v1"},
                {"serving", {{"replicas", 2}}},
                {"rollout",
                 {{"steps", canary_steps()},
                  {"gates", {prometheus_gate("accuracy", "0.9")}},
                  {"progressDeadlineSeconds", 300}}}};
  s.op.metrics["accuracy m-v2"] = "0.95";
  s.op.metrics["accuracy m-v3"] = "0.96";
  for (const char* artifacts : {"artifacts", "a"})  // which versions name
    s.world.create({{"kind", "ConfigMap"}, {"metadata", {{"name", artifacts}}}, {"data", Json::object()}}, "kubectl");
}

Fixture usual(Sim& sim, const std::function<void(Json& spec)>& edit) {
  Fixture f(sim);
  if (edit) edit(f.model_spec);
  f.make_runtime();
  for (const char* version : {"m-v1", "m-v2", "m-v3"}) f.make_version(version);
  f.make_model();
  return f;
}

void make_foreign_deployment(World& world, const std::string& name, int replicas) {
  world.create({{"kind", "Deployment"},
                {"metadata", {{"name", name}}},
                {"spec",
                 {{"replicas", replicas},
                  {"template", {{"metadata", {{"labels", {{"app", name}}}}}, {"spec", {{"containers", Json::array()}}}}}}},
                {"status", {{"observedGeneration", 1}, {"replicas", replicas}, {"readyReplicas", replicas}}}},
               "kubectl");
}

void make_foreign_service(World& world, const std::string& name, const std::string& app, const Json& ports) {
  world.create({{"kind", "Service"},
                {"metadata", {{"name", name}, {"labels", {{"app.kubernetes.io/managed-by", "Helm"}}}}},
                {"spec", {{"selector", {{"app", app}}}, {"ports", ports}}}},
               "kubectl");
}

void Fixture::make_runtime(const std::string& name) {
  s.world.create(
      {{"kind", "ModelRuntime"},
       {"metadata", {{"name", name}}},
       {"spec",
        {{"formats", {{{"name", "rules"}, {"version", "1"}}}},
         {"port", 8080},
         {"metrics", {{"port", 8080}, {"path", "/metrics"}}},
         {"protocol", "v2"},
         {"template", {{"spec", {{"containers", {{{"name", "server"}, {"image", "model-server:dev"}}}}}}}}}}},
      "kubectl");
}

void Fixture::make_model() {
  s.world.create({{"kind", "Model"}, {"metadata", {{"name", "m"}}}, {"spec", model_spec}}, "kubectl");
}

void Fixture::make_version(const std::string& name, const Json& metrics, const std::string& model) {
  Json spec = {{"modelRef", {{"name", model}}},
               {"artifact",
                {{"uri", "configmap://artifacts/" + name},
                 {"digest", digest(name)},
                 {"format", {{"name", "rules"}, {"version", "1"}}}}}};
  if (!metrics.empty()) spec["metrics"] = metrics;
  s.world.create({{"kind", "ModelVersion"}, {"metadata", {{"name", name}, {"annotations", {{"modelops.dev/changed-by", "dev"}}}}}, {"spec", spec}}, "kubectl");
}

void Fixture::make_rollout(const std::string& name, const std::string& version) {
  s.world.create({{"kind", "ModelRollout"},
                  {"metadata", {{"name", name}}},
                  {"spec", {{"modelRef", {{"name", "m"}}}, {"version", version}}}},
                 "kubectl");
}

void Fixture::edit_spec(const std::function<void(Json&)>& edit) {
  s.world.update(
      ref(Kind::Model, "m"), [&](Json& o) { edit(o["spec"]); }, "kubectl");
}

void Fixture::ask_for(const std::string& version) {
  edit_spec([&](Json& spec) { spec["version"] = version; });
}

void Fixture::desire(const std::string& rollout, const std::string& state) {
  s.world.update(
      ref(Kind::ModelRollout, rollout), [&](Json& o) { o["spec"]["desiredState"] = state; }, "kubectl");
}

void Fixture::resume(const std::string& rollout) {
  s.world.update(
      ref(Kind::ModelRollout, rollout),
      [&](Json& o) {
        const TimePoint now = s.world.now + Duration(o["metadata"]["generation"].get<int>());
        o["spec"]["resumeRequestedAt"] = format_micro_time(now);
      },
      "kubectl");
}

const Json& Fixture::model() const { return s.world.get(ref(Kind::Model, "m")); }

const Json& Fixture::status() const {
  static const Json none = Json::object();
  const Json& m = model();
  return m.contains("status") ? m["status"] : none;
}

const Json* Fixture::rollout(const std::string& name) const {
  return name.empty() ? nullptr : s.world.find(ref(Kind::ModelRollout, name));
}

std::string Fixture::phase(const std::string& name) const {
  const Json* r = rollout(name);
  return r ? r->value("status", Json::object()).value("phase", "") : "";
}

int Fixture::step(const std::string& name) const {
  const Json* r = rollout(name);
  return r ? r->value("status", Json::object()).value("step", Json::object()).value("index", 0) : 0;
}

int Fixture::weight(const std::string& name) const {
  const Json* r = rollout(name);
  return r ? r->value("status", Json::object()).value("weights", Json::object()).value("candidate", 0) : 0;
}

std::string Fixture::to(const std::string& version) const {
  std::string found;
  int64_t newest = -1;
  for (const ObjectRef& ref : s.world.all(Kind::ModelRollout)) {
    const Json& r = s.world.get(ref);
    const int64_t made = std::stoll(r["metadata"]["uid"].get<std::string>().substr(4));
    if (r["spec"]["version"] != version || made < newest) continue;
    newest = made;
    found = ref.key.name;
  }
  return found;
}

int Fixture::count_rollouts(const std::string& version) const {
  int count = 0;
  for (const ObjectRef& ref : s.world.all(Kind::ModelRollout))
    count += s.world.get(ref)["spec"]["version"] == version;
  return count;
}

std::string Fixture::condition(const std::string& type) const {
  for (const Json& c : status().value("conditions", Json::array()))
    if (c["type"] == type) return c["status"];
  return "";
}

std::string Fixture::reason(const std::string& type) const {
  for (const Json& c : status().value("conditions", Json::array()))
    if (c["type"] == type) return c["reason"];
  return "";
}

std::string Fixture::stable() const { return status().value("stableVersion", ""); }

std::string Fixture::version_phase(const std::string& version) const {
  const Json* v = s.world.find(ref(Kind::ModelVersion, version));
  return v ? v->value("status", Json::object()).value("phase", "Registered") : "";
}

int Fixture::ready_pods(const std::string& version) const {
  int count = 0;
  for (const auto& pod : s.world.truth.pods.of_model({kNamespace, "m"}))
    count += pod->version == version && pod->ready;
  return count;
}

std::function<bool()> Fixture::is_ready() const {
  return [f = *this] {
    return f.ready() && f.status()["observedGeneration"] == f.model()["metadata"]["generation"];
  };
}

std::function<bool()> Fixture::serves(const std::string& version) const {
  return [f = *this, version] { return f.ready() && f.stable() == version; };
}

void Fixture::must_serve(const std::string& version) const {
  must(ready() && stable() == version, version + " should serve and be Ready: " + status().dump(1));
  must(status()["traffic"] == Json({{{"version", version}, {"weight", 100}}}),
       "traffic: " + status()["traffic"].dump());
  must(status()["phase"] == "Ready" && condition("Available") == "True",
       "phase and Available: " + status().dump(1));
  must(version_phase(version) == "Serving", version + " is " + version_phase(version));
}

void Fixture::must_be_degraded(const std::string& why, const std::string& serving) const {
  must(condition("Stalled") == "True" && reason() == why && status()["phase"] == "Degraded",
       "should be Degraded, " + why + ": " + status().dump(1));
  must(stable() == serving && condition("Available") == "True",
       serving + " should serve on: " + status().dump(1));
  must(status()["traffic"] == Json({{{"version", serving}, {"weight", 100}}}),
       "traffic: " + status()["traffic"].dump());
}

void Fixture::must_be(const std::string& name, const std::string& wanted) const {
  must(phase(name) == wanted, "ModelRollout " + name + " should be " + wanted + ": " +
                                  (rollout(name) ? rollout(name)->dump(1) : "absent"));
}

}  // namespace mo::sim
