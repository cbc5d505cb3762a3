// The bodies that we apply.
#include <catch2/catch.hpp>

#include "reconcilers/serving/render.h"
#include "reconcilers/training/job.h"

namespace mo::serving {
namespace {

const Settings kSettings{"operator:1"};

api::Model model() {
  api::Model m;
  m.meta.key = {"ns", "m"};
  m.meta.uid = "uid-m";
  m.rollout.progress_deadline = std::chrono::seconds(90);
  return m;
}

api::ModelVersion version(const std::string& uri) {
  api::ModelVersion v;
  v.meta.key = {"ns", "m-v2"};
  v.model = "m";
  v.artifact = {uri, "sha256:abc", {"rules", "1"}};
  return v;
}

api::ModelRuntime runtime(const std::string& pod_template =
                              R"({"spec": {"containers": [{"name": "server", "image": "server:1"}]}})") {
  api::ModelRuntime r;
  r.meta.key.name = "rules";
  r.port = 9000;
  r.metrics_port = 9001;
  r.formats = {{"rules", "1"}};
  r.pod_template = pod_template;
  return r;
}

Json rendered(const api::Model& m, const api::ModelVersion& v, const api::ModelRuntime& r) {
  const auto result = render_deployment(m, v, r, kSettings);
  REQUIRE(result);
  return result->body;
}

const Json& named(const Json& list, const std::string& name) {
  static const Json none;
  for (const Json& item : list)
    if (item["name"] == name) return item;
  return none;
}

TEST_CASE("a Deployment carries who it is of and whose it is") {
  const Json d = rendered(model(), version("https://store/x/model.json?sig=1"), runtime());
  CHECK(d["metadata"]["name"] == "m-v2");
  CHECK(d["metadata"]["namespace"] == "ns");
  CHECK(d["metadata"]["labels"] == Json({{"app.kubernetes.io/managed-by", "model-operator"},
                                         {"modelops.dev/model", "m"},
                                         {"modelops.dev/revision", *revision_name(model(), version("https://store/x/model.json?sig=1"), runtime())},
                                         {"modelops.dev/version", "m-v2"}}));
  CHECK(d["spec"]["template"]["metadata"]["labels"] == d["metadata"]["labels"]);
  CHECK(d["metadata"]["ownerReferences"][0]["uid"] == "uid-m");
  CHECK(d["metadata"]["ownerReferences"][0]["controller"] == true);
  CHECK(d["spec"]["selector"]["matchLabels"] ==
        Json({{"modelops.dev/model", "m"}, {"modelops.dev/version", "m-v2"}}));
  CHECK(d["spec"]["progressDeadlineSeconds"] == 90);
  CHECK(d["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0);
  CHECK_FALSE(d["spec"].contains("replicas"));
  CHECK(d["spec"]["template"]["metadata"]["annotations"] == Json({{"prometheus.io/scrape", "true"},
                                                                  {"prometheus.io/port", "9001"},
                                                                  {"prometheus.io/path", "/metrics"}}));
}

TEST_CASE("where room is scarce a Deployment rolls within it") {
  api::Model m = model();
  m.max_surge = 0;
  const Json none = {{"maxSurge", 0}, {"maxUnavailable", 1}}, two = {{"maxSurge", 2}, {"maxUnavailable", 0}};
  CHECK(rendered(m, version("http://x/y"), runtime())["spec"]["strategy"]["rollingUpdate"] == none);
  m.max_surge = 2;
  CHECK(rendered(m, version("http://x/y"), runtime())["spec"]["strategy"]["rollingUpdate"] == two);
}

TEST_CASE("ConfigMaps of the template want copies, the artifact's and the cluster's certificates do not") {
  const api::ModelRuntime r = runtime(R"({"spec": {"containers": [{"name": "server", "envFrom": [{"configMapRef": {"name": "maps"}},
      {"configMapRef": {"name": "settings"}}, {"configMapRef": {"name": "kube-root-ca.crt"}}]}]}})");
  api::Model m = model();
  auto result = render_deployment(m, version("configmap://maps/model.json"), r, kSettings);
  REQUIRE(result);
  CHECK(result->unpinned == std::map<std::string, bool>{{"settings", false}});
  result = render_deployment(m, version("configmap://maps/model.json"), r, kSettings, {{"settings", "m-v2-copy"}});
  REQUIRE(result);
  CHECK(result->unpinned.empty());
  const Json& spec = result->body["spec"]["template"]["spec"];
  CHECK(named(spec["containers"], "server")["envFrom"] ==
        Json::parse(R"([{"configMapRef": {"name": "maps"}}, {"configMapRef": {"name": "m-v2-copy"}}, {"configMapRef": {"name": "kube-root-ca.crt"}}])"));
  CHECK(named(spec["volumes"], "modelops-source")["configMap"]["name"] == "maps");
  m.pin_config = false;
  result = render_deployment(m, version("configmap://maps/model.json"), r, kSettings);
  REQUIRE(result);
  CHECK(result->unpinned.empty());
}

TEST_CASE("a copy is named after version and content") {
  const auto copy = [](const std::string& source, const std::string& content) {
    const auto made = render_copy(model(), "m-v2", source, "7", content);
    REQUIRE(made);
    return *made;
  };
  const Copied one = copy("settings", R"({"data": {"a": "1"}, "binaryData": {"b": "AA=="}})");
  CHECK(one.body["immutable"] == true);
  CHECK(one.body["data"] == Json({{"a", "1"}}));
  CHECK(one.body["binaryData"] == Json({{"b", "AA=="}}));
  CHECK(one.body["metadata"]["ownerReferences"][0]["uid"] == "uid-m");
  CHECK(one.body["metadata"]["annotations"] == Json({{"modelops.dev/copy-of", "settings"}, {"modelops.dev/copied-at", "7"}}));
  CHECK(one.name.rfind("m-v2-", 0) == 0);
  CHECK(one.name == copy("settings", R"({"data": {"a": "1"}, "binaryData": {"b": "AA=="}})").name);
  CHECK(one.name != copy("settings", R"({"data": {"a": "2"}})").name);
  CHECK(one.name != copy("others", R"({"data": {"a": "1"}, "binaryData": {"b": "AA=="}})").name);
  CHECK_FALSE(copy("absent", "null").body.contains("data"));
  CHECK_FALSE(render_copy(model(), "m-v2", "settings", "7", "{").has_value());
}

TEST_CASE("the autoscaler is of the Model, with its metrics as they are") {
  api::Model m = model();
  m.autoscaling = {2, 5, R"([{"type":"Resource"}])", R"({"scaleDown":{"stabilizationWindowSeconds":60}})"};
  const auto result = render_autoscaler(m);
  REQUIRE(result);
  CHECK(result->body["spec"] == Json::parse(R"({"scaleTargetRef": {"apiVersion": "modelops.dev/v1alpha1", "kind": "Model", "name": "m"},
      "minReplicas": 2, "maxReplicas": 5, "metrics": [{"type": "Resource"}], "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}})"));
}

TEST_CASE("the server learns what to serve, and ends without losing requests") {
  const Json d = rendered(model(), version("https://store/x/model.json?sig=1"), runtime());
  const Json& server = named(d["spec"]["template"]["spec"]["containers"], "server");
  CHECK(server["env"] ==
        Json::parse(R"([{"name": "MODEL_NAME", "value": "m"}, {"name": "MODEL_VERSION", "value": "m-v2"},
                                         {"name": "MODEL_PATH", "value": "/artifact/model.json"}])"));
  CHECK(server["ports"] == Json::parse(R"([{"name": "http", "containerPort": 9000, "protocol": "TCP"}])"));
  CHECK(server["volumeMounts"] ==
        Json::parse(R"([{"name": "modelops-artifact", "mountPath": "/artifact", "readOnly": true}])"));
  CHECK(server["lifecycle"]["preStop"]["sleep"]["seconds"] == 5);
}

TEST_CASE("the artifact is fetched and verified before the server starts") {
  struct Row {
    const char *uri, *file, *volume;
  };
  const Row rows[] = {
      {"https://store/x/model.json?sig=1", "/artifact/model.json", "null"},
      {"configmap://maps/model.json", "/artifact/model.json",
       R"({"name": "modelops-source", "configMap": {"name": "maps"}})"},
      {"pvc://claim/a/b/42.joblib", "/artifact/42.joblib",
       R"({"name": "modelops-source", "persistentVolumeClaim": {"claimName": "claim", "readOnly": true}})"},
      {"http://store/", "/artifact/model", "null"},
      {"http://store/.hidden", "/artifact/model.hidden", "null"},
      {"http://store/a%20b c;rm", "/artifact/a_20b_c_rm", "null"},
  };
  for (const Row& row : rows) {
    INFO(row.uri);
    const Json d = rendered(model(), version(row.uri), runtime());
    const Json& spec = d["spec"]["template"]["spec"];
    const Json& fetch = spec["initContainers"][0];
    CHECK(fetch["name"] == "modelops-fetch");
    CHECK(fetch["image"] == "operator:1");
    CHECK(fetch["args"] == Json({"fetch", "--uri", row.uri, "--digest", "sha256:abc", "--output", row.file, "--max-bytes", "10737418240"}));
    CHECK(named(spec["volumes"], "modelops-source") == Json::parse(row.volume));
    CHECK(named(spec["volumes"], "modelops-artifact")["emptyDir"].is_object());
    CHECK(fetch["volumeMounts"].size() == (Json::parse(row.volume).is_null() ? 1 : 2));
  }
}

TEST_CASE("what cannot be rendered says why") {
  const auto why = [](const std::string& uri, const api::ModelRuntime& r) {
    const auto result = render_deployment(model(), version(uri), r, kSettings);
    return result ? "" : result.error().message;
  };
  CHECK(why("ftp://b/k", runtime()).find("must be one of configmap://") != std::string::npos);
  CHECK(why("configmap://maps", runtime()).find("names no key") != std::string::npos);
  CHECK(why("pvc://claim/", runtime()).find("names no path") != std::string::npos);
  CHECK(why("http://x/y", runtime(R"({"spec": {"containers": [{"name": "other"}]}})"))
            .find("no container named server") != std::string::npos);
  CHECK(why("http://x/y", runtime("{}")).find("no container named server") != std::string::npos);
}

TEST_CASE("the fetching container is bounded, and passes Pod Security's level restricted whatever the pod says") {
  api::ModelVersion v = version("https://store/x/model.json");
  Json fetch = rendered(model(), v, runtime())["spec"]["template"]["spec"]["initContainers"][0];
  CHECK(fetch["resources"] == Json::parse(R"({"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}})"));
  const Json restricted = Json::parse(R"({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "runAsNonRoot": true,
      "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}})");
  CHECK(fetch["securityContext"] == restricted);
  api::Model m = model();
  m.template_overlay = R"({"spec": {"securityContext": {"runAsUser": 0}}})";
  fetch = rendered(m, v, runtime())["spec"]["template"]["spec"]["initContainers"][0];
  CHECK(fetch["securityContext"]["runAsUser"] == 65532);
  m.template_overlay = R"({"spec": {"securityContext": {"runAsUser": 1000}}})";
  fetch = rendered(m, v, runtime())["spec"]["template"]["spec"]["initContainers"][0];
  CHECK(fetch["securityContext"] == restricted);
}

TEST_CASE("an artifact's size bounds what is fetched, and the volume") {
  api::ModelVersion v = version("https://store/x/model.json");
  Json spec = rendered(model(), v, runtime())["spec"]["template"]["spec"];
  CHECK(named(spec["volumes"], "modelops-artifact")["emptyDir"]["sizeLimit"] == std::to_string((10240ull + 16) << 20));
  v.artifact.size = "500Mi";
  spec = rendered(model(), v, runtime())["spec"]["template"]["spec"];
  CHECK(spec["initContainers"][0]["args"].back() == "524288000");
  CHECK(named(spec["volumes"], "modelops-artifact")["emptyDir"]["sizeLimit"] == std::to_string(516ull << 20));
  v.artifact.size = "much";
  CHECK(render_deployment(model(), v, runtime(), kSettings).error().message == "artifact size much is not a size such as 500Mi or 2Gi");
}

TEST_CASE("credentials are mounted into the fetching container alone") {
  api::ModelVersion v = version("https://store/x/model.json");
  v.artifact.secret = "store";
  const Json spec = rendered(model(), v, runtime())["spec"]["template"]["spec"];
  CHECK(named(spec["volumes"], "modelops-credentials")["secret"] == Json::parse(R"({"secretName": "store", "optional": true})"));
  const Json& fetch = spec["initContainers"][0];
  CHECK(named(fetch["volumeMounts"], "modelops-credentials") ==
        Json::parse(R"({"name": "modelops-credentials", "mountPath": "/credentials", "readOnly": true})"));
  const auto& args = fetch["args"];
  CHECK(std::find(args.begin(), args.end(), "--credentials-dir") != args.end());
  CHECK(named(named(spec["containers"], "server")["volumeMounts"], "modelops-credentials").is_null());
}

// The words for `template` as spec.serving.template of the Model; "" if it renders.
std::string refused(const std::string& overlay, const api::ModelRuntime& r = runtime()) {
  api::Model m = model();
  m.template_overlay = overlay;
  const auto result = render_deployment(m, version("configmap://maps/model.json"), r, kSettings);
  if (result) return "";
  CHECK(result.error().kind == ErrorKind::Invalid);
  return result.error().message;
}

TEST_CASE("no template takes the place of what verifies and holds the artifact") {
  struct Row {
    const char *overlay, *says;
  };
  const Row rows[] = {
      {R"({"spec": {"initContainers": [{"name": "modelops-fetch", "image": "evil:1"}]}})", "spec.initContainers[modelops-fetch] uses a name"},
      {R"({"spec": {"containers": [{"name": "modelops-fetch"}]}})", "spec.containers[modelops-fetch] uses a name"},
      {R"({"spec": {"volumes": [{"name": "modelops-artifact", "hostPath": {"path": "/"}}]}})", "spec.volumes[modelops-artifact] uses a name"},
      {R"({"spec": {"volumes": [{"name": "modelops-source", "emptyDir": {}}]}})", "spec.volumes[modelops-source] uses a name"},
      {R"({"spec": {"volumes": [{"name": "modelops-credentials", "emptyDir": {}}]}})", "spec.volumes[modelops-credentials] uses a name"},
      {R"({"spec": {"ephemeralContainers": [{"name": "x"}]}})", "spec.ephemeralContainers cannot be part"},
      {R"({"spec": {"containers": [{"name": "server", "env": [{"name": "MODEL_PATH", "value": "/tmp/mine"}]}]}})",
       "spec.containers[server].env[MODEL_PATH] is set by the operator"},
      {R"({"spec": {"containers": [{"name": "server", "env": [{"name": "MODEL_NAME", "$patch": "replace", "value": "x"}]}]}})",
       "spec.containers[server].env[MODEL_NAME] is set"},
      {R"({"spec": {"containers": [{"name": "side", "volumeMounts": [{"name": "modelops-artifact", "mountPath": "/a"}]}]}})",
       "spec.containers[side].volumeMounts[/a] mounts volume modelops-artifact writable"},
      {R"({"spec": {"initContainers": [{"name": "late", "volumeMounts": [{"name": "modelops-artifact", "mountPath": "/a", "subPath": "x", "readOnly": false}]}]}})",
       "spec.initContainers[late].volumeMounts[/a] mounts volume modelops-artifact writable"},
      {R"({"spec": {"containers": [{"name": "side", "volumeMounts": [{"name": "modelops-credentials", "mountPath": "/a", "readOnly": true}]}]}})",
       "spec.containers[side].volumeMounts[/a] mounts volume modelops-credentials, which only container modelops-fetch may mount"},
      {R"({"metadata": {"labels": {"modelops.dev/version": "forged"}}})", "metadata.labels[modelops.dev/version] is the operator's"},
      {R"({"metadata": {"annotations": {"modelops.dev/x": "y"}}})", "metadata.annotations[modelops.dev/x] is the operator's"},
  };
  for (const Row& row : rows) {
    INFO(row.overlay);
    CHECK(refused(row.overlay).find(std::string("spec.serving.template.") + row.says) == 0);
    // A runtime's template is no different, and is named.
    Json pods = Json::parse(row.overlay);
    Json server = {{"name", "server"}, {"image", "server:1"}};
    Json& list = pods["spec"]["containers"];
    if (!list.is_array()) list = Json::array();
    if (named(list, "server").is_null()) list.push_back(server);
    const std::string text = pods.dump();
    if (text.find("$patch") == std::string::npos)
      CHECK(refused("", runtime(text)).find(std::string("ModelRuntime rules: spec.template.") + row.says) == 0);
  }
}

TEST_CASE("nothing hides the artifact from the server") {
  const auto mounted = [](const std::string& container, const std::string& path) {
    return refused(R"({"spec": {"containers": [{"name": ")" + container + R"(", "volumeMounts": [{"name": "mine", "mountPath": ")" + path +
                   R"("}]}], "volumes": [{"name": "mine", "emptyDir": {}}]}})");
  };
  for (const char* path : {"/artifact", "/artifact/", "//artifact", "/artifact/model.json", "artifact", "/x/../artifact", "/", "///"}) {
    INFO(path);
    CHECK(mounted("server", path).find("would hide the verified artifact") != std::string::npos);
  }
  for (const char* path : {"/artifacts", "/x/artifact", "/tmp"}) CHECK(mounted("server", path).empty());
  CHECK(mounted("side", "/artifact").empty());
  CHECK(refused(R"({"spec": {"containers": [{"name": "server", "volumeDevices": [{"name": "d", "devicePath": "/artifact/x"}]}]}})")
            .find("choose another devicePath") != std::string::npos);
  // To look at it is everybody's right; the server has its own mount beside it.
  const std::string reader = R"({"spec": {"containers": [{"name": "server", "volumeMounts": [{"name": "modelops-artifact", "mountPath": "/again", "readOnly": true}]}],
      "initContainers": [{"name": "late", "volumeMounts": [{"name": "modelops-artifact", "mountPath": "/artifact", "readOnly": true}]}]}})";
  CHECK(refused(reader).empty());
  api::Model m = model();
  m.template_overlay = reader;
  const Json spec = rendered(m, version("http://x/y"), runtime())["spec"]["template"]["spec"];
  CHECK(spec["initContainers"][0]["name"] == "modelops-fetch");
  CHECK(spec["initContainers"][1]["name"] == "late");
  CHECK(named(spec["containers"], "server")["volumeMounts"].size() == 2);
  CHECK(named(spec["containers"], "server")["volumeMounts"][0]["mountPath"] == "/artifact");
}

TEST_CASE("a template of another shape is refused with its path") {
  CHECK(refused(R"({"spec": {"containers": [{"name": "server"}, {"name": "side", "env": [{"value": "a"}]}]}})") ==
        "spec.serving.template.spec.containers[1].env[0] has no name; give it one, or remove the entry");
  CHECK(refused("", runtime(R"({"spec": {"containers": [{"image": "x"}]}})")) ==
        "ModelRuntime rules: spec.template.spec.containers[0] has no name; give it one, or remove the entry");
  api::Model m = model();
  m.template_overlay = R"({"spec": {"containers": 3}})";
  CHECK(labels_of_pods(m) == Json({{"modelops.dev/model", "m"}}));
}

TEST_CASE("the Model's template lies over the runtime's") {
  api::Model m = model();
  m.template_overlay = R"({"metadata": {"labels": {"team": "a"}},
    "spec": {"nodeSelector": {"disk": "ssd"}, "containers": [
      {"name": "server", "image": "server:2", "env": [{"name": "X", "value": "1"}],
       "ports": [{"containerPort": 9000, "name": "other"}], "lifecycle": {"preStop": {"exec": {"command": ["true"]}}}},
      {"name": "sidecar", "image": "side:1"}]}})";
  const Json d = rendered(m, version("http://x/y"), runtime());
  const Json& pods = d["spec"]["template"];
  CHECK(pods["metadata"]["labels"]["team"] == "a");
  CHECK(pods["metadata"]["labels"]["modelops.dev/version"] == "m-v2");
  CHECK(pods["spec"]["nodeSelector"]["disk"] == "ssd");
  const Json& server = named(pods["spec"]["containers"], "server");
  CHECK(server["image"] == "server:2");
  CHECK(named(server["env"], "X")["value"] == "1");
  CHECK(server["env"].size() == 4);
  CHECK(server["ports"].size() == 1);
  CHECK(server["ports"][0]["name"] == "http");
  CHECK_FALSE(server["lifecycle"]["preStop"].contains("sleep"));
  CHECK(named(pods["spec"]["containers"], "sidecar")["image"] == "side:1");
}

TEST_CASE("the hash covers everything but the replicas") {
  const auto hash = [](const api::Model& m) {
    return render_deployment(m, version("http://x/y"), runtime(), kSettings)->hash;
  };
  api::Model other = model();
  other.replicas = 9;
  CHECK(hash(other) == hash(model()));
  other.template_overlay = R"({"spec": {"priorityClassName": "high"}})";
  CHECK(hash(other) != hash(model()));
  const auto result = render_deployment(model(), version("http://x/y"), runtime(), kSettings);
  CHECK(result->body["metadata"]["annotations"]["modelops.dev/applied"] == result->hash);
}

TEST_CASE("a Service selects one version or all of them, on port 80 by the port's name") {
  const Json one = render_service(model(), "m", "m-v2").body, all = render_service(model(), "m", "").body;
  CHECK(one["spec"]["selector"] == Json({{"modelops.dev/model", "m"}, {"modelops.dev/version", "m-v2"}}));
  CHECK(all["spec"]["selector"] == Json({{"modelops.dev/model", "m"}}));
  CHECK(one["spec"]["ports"] ==
        Json::parse(R"([{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}])"));
}

TEST_CASE("the runtime is the named one, else the first by priority and then by name") {
  const auto make = [](const std::string& name, int priority, const api::Format& format) {
    auto r = std::make_shared<api::ModelRuntime>(runtime());
    r->meta.key.name = name;
    r->priority = priority;
    r->formats = {format};
    return Ref<api::ModelRuntime>(r);
  };
  const std::vector<Ref<api::ModelRuntime>> all = {
      make("b", 1, {"rules", "1"}), make("a", 1, {"rules", ""}), make("c", 0, {"rules", "1"}),
      make("d", 9, {"sklearn", "1"}), make("e", 9, {"rules", "2"})};
  api::Model m = model();
  CHECK((*choose_runtime(m, {"rules", "1"}, all))->meta.key.name == "a");
  CHECK((*choose_runtime(m, {"rules", "2"}, all))->meta.key.name == "e");
  CHECK(choose_runtime(m, {"onnx", "1"}, all).error().kind == ErrorKind::NotFound);
  m.runtime = "c";
  CHECK((*choose_runtime(m, {"onnx", "1"}, all))->meta.key.name == "c");
  m.runtime = "none";
  CHECK(choose_runtime(m, {"rules", "1"}, all).error().message.find("ModelRuntime none does not exist") == 0);
}

// ---- training Jobs ----

api::TrainingRun run() {
  api::TrainingRun r;
  r.meta.key = {"ns", "m-run-000007"};
  r.meta.uid = "uid-m-run-000007";
  r.trigger = "nightly";
  r.status.attempt = 1;
  r.status.seed = 7;
  return r;
}
const training::StageJob kTrain{"train", "m-run-000007-train", 2, {{"learning_rate", "0.1"}}};

Json job(const std::string& job_template, const std::string& stable = "m-v1") {
  api::Model m = model();
  m.retraining.emplace();
  m.retraining->job_template = job_template;
  const auto result = training::render_job(m, run(), kTrain, stable);
  REQUIRE(result);
  return *result;
}

TEST_CASE("a training Job learns what it needs to know") {
  const Json j = job(
      R"({"metadata": {"labels": {"team": "a", "app.kubernetes.io/managed-by": "forged"}, "annotations": {"x": "y"}},
    "spec": {"backoffLimit": 1, "template": {"spec": {"containers": [
      {"name": "train", "image": "t:1", "env": [{"name": "MODELOPS_OUTPUT", "value": "mine"}]},
      {"name": "side", "image": "s:1", "terminationMessagePath": "/tmp/said"}]}}}})");
  CHECK(j["metadata"]["name"] == "m-run-000007-train");
  CHECK(j["metadata"]["labels"]["modelops.dev/model"] == "m");
  CHECK(j["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "model-operator");
  CHECK(j["metadata"]["labels"]["team"] == "a");
  CHECK(j["metadata"]["annotations"]["x"] == "y");
  CHECK(j["metadata"]["ownerReferences"][0]["uid"] == "uid-m-run-000007");
  CHECK(j["metadata"]["ownerReferences"][0]["kind"] == "TrainingRun");
  CHECK(j["spec"]["backoffLimit"] == 1);
  const Json& pods = j["spec"]["template"];
  CHECK(pods["spec"]["restartPolicy"] == "Never");
  const Json& env = pods["spec"]["containers"][0]["env"];
  for (const auto& [name, value] :
       std::map<std::string, std::string>{{"MODELOPS_MODEL", "m"},
                                          {"MODELOPS_NAMESPACE", "ns"},
                                          {"MODELOPS_VERSION", "m-v1"},
                                          {"MODELOPS_RUN_ID", "m-run-000007"},
                                          {"MODELOPS_STAGE", "train"},
                                          {"MODELOPS_TRIAL", "2"},
                                          {"MODELOPS_ATTEMPT", "1"},
                                          {"MODELOPS_SEED", "7"},
                                          {"MODELOPS_PARAM_LEARNING_RATE", "0.1"},
                                          {"MODELOPS_TRIGGER", "nightly"},
                                          {"MODELOPS_OUTPUT", "mine"},
                                          {"MODELOPS_RESULT", "/dev/termination-log"}}) {
    INFO(name);
    CHECK(named(env, name)["value"] == value);
  }
  CHECK(named(pods["spec"]["containers"][1]["env"], "MODELOPS_RESULT")["value"] == "/tmp/said");
}

// During a canary the Service selects every pod of the Model: a training pod with a port named http would
// have been sent requests.
TEST_CASE("training pods are not selected by the Model's Service") {
  const Json j = job(R"({"spec": {"template": {"spec": {"containers": [{"name": "train"}]}}}})");
  CHECK_FALSE(j["spec"]["template"]["metadata"]["labels"].contains("modelops.dev/model"));
}

TEST_CASE("a Job template of another shape, or with labels of the operator's, is refused with its path") {
  const auto refused = [](const std::string& job_template) {
    api::Model m = model();
    m.retraining.emplace();
    m.retraining->job_template = job_template;
    const auto result = training::render_job(m, run(), kTrain, "");
    return result ? "" : result.error().message;
  };
  CHECK(refused("5") == "spec.retraining.template must be an object (a JobTemplateSpec), it is a number");
  CHECK(refused(R"({"spec": 5})") == "spec.retraining.template.spec must be an object, it is a number");
  CHECK(refused(R"({"spec": {"template": {"spec": {"containers": [5]}}}})") ==
        "spec.retraining.template.spec.template.spec.containers[0] must be an object with the field name, it is a number");
  CHECK(refused(R"({"spec": {"template": {"spec": {"containers": [{"name": "a", "env": "x"}]}}}})") ==
        "spec.retraining.template.spec.template.spec.containers[0].env must be a list, it is a text");
  CHECK(refused(R"({"metadata": {"labels": 5}})") == "spec.retraining.template.metadata.labels must be an object, it is a number");
  // By the one it would pass for the Job of a gate, by the other its pods would get requests.
  CHECK(refused(R"({"metadata": {"labels": {"modelops.dev/gate-of": "x"}}})").find("metadata.labels[modelops.dev/gate-of] is the operator's") !=
        std::string::npos);
  CHECK(refused(R"({"spec": {"template": {"metadata": {"labels": {"modelops.dev/model": "m"}}}}})")
            .find("spec.retraining.template.spec.template.metadata.labels[modelops.dev/model] is the operator's") == 0);
  CHECK(refused(R"({"spec": {"template": {"spec": {"containers": [{"name": "a", "env": null}]}}}})").empty());
}

api::Model taking_over(const Json& ports) {
  api::Model m = model();
  m.status.adopted = api::Adopted{"old", "uid-d", 1, "uid-s", Json{{"managedBy", ""}, {"ports", ports}, {"selector", {{"app", "old"}}}}.dump(), "Replacing", {}};
  return m;
}

TEST_CASE("requests to a Service that was taken over come by the port named http, or else 80, or else the only one") {
  const Json grpc = {{"name", "grpc"}, {"port", 9000}, {"targetPort", 9000}}, metrics = {{"name", "metrics"}, {"port", 9090}, {"targetPort", 9090}};
  const Json web = {{"name", "web"}, {"port", 80}, {"targetPort", 3000}}, http = {{"name", "http"}, {"port", 8080}, {"targetPort", 3000}};
  const auto target = [](const Json& ports, size_t i) { return render_service(taking_over(ports), "m", "m-v1").body["spec"]["ports"][i]["targetPort"]; };
  CHECK(target(Json::array({grpc}), 0) == "http");
  CHECK(target(Json::array({metrics, web}), 1) == "http");
  CHECK(target(Json::array({metrics, web}), 0) == 9090);
  CHECK(target(Json::array({web, http}), 1) == "http");
  CHECK(target(Json::array({web, http}), 0) == 3000);
}

TEST_CASE("a Service of which it cannot be told how requests come is not taken over") {
  const Json a = {{"name", "a"}, {"port", 1}}, b = {{"name", "b"}, {"port", 2}}, web = {{"name", "web"}, {"port", 80}}, http = {{"name", "http"}, {"port", 8080}};
  CHECK(ports_problem(Json::array({a}), false).empty());
  CHECK(ports_problem(Json::array({a, web}), true).empty());
  CHECK(ports_problem(Json::array({a, b}), false).find("name the port of requests http") != std::string::npos);
  CHECK(ports_problem(Json::array({http, web}), false).empty());
  CHECK(ports_problem(Json::array({http, web}), true).find("port 80") != std::string::npos);  // where a route leads
}

TEST_CASE("what somebody wrote into the record of a Service breaks nothing") {
  for (const char* odd : {R"(["http"])", R"([{"port": "80"}])", R"([7, {"name": 5}])", R"({"a": 1})", "null", R"("x")"}) {
    api::Model m = taking_over(Json::parse(odd));
    m.route.emplace();
    CHECK_NOTHROW(render_service(m, "m", "m-v1"));
    CHECK_NOTHROW(render_returned_service(m));
  }
}

TEST_CASE("a route finds port 80 at a Service that was taken over") {
  api::Model m = taking_over(Json::array({{{"port", 8080}, {"targetPort", 3000}}}));
  m.route.emplace();
  const Json ports = render_service(m, "m", "m-v1").body["spec"]["ports"];
  REQUIRE(ports.size() == 2);
  CHECK(ports[0]["name"] == "adopted");  // with two ports each needs a name
  CHECK(ports[1]["port"] == 80);
  CHECK(ports[1]["targetPort"] == "http");
}

TEST_CASE("a Service that is to be given back has no owner, the candidate's has") {
  api::Model m = taking_over(Json::array({{{"port", 80}}}));
  CHECK(render_service(m, "m", "m-v1").body["metadata"].contains("ownerReferences"));  // it is not to be given back
  m.adopt = "old";
  m.meta.finalizers = {api::kFinalizer};
  CHECK_FALSE(render_service(m, "m", "m-v1").body["metadata"].contains("ownerReferences"));
  CHECK(render_service(m, "m-candidate", "m-v1").body["metadata"].contains("ownerReferences"));
  // Deleted now the Model goes at once, and leaves nothing that leads nowhere.
  m.status.adopted->phase = "Serving";
  CHECK(render_service(m, "m", "m-v1").body["metadata"].contains("ownerReferences"));
}

}  // namespace
}  // namespace mo::serving
