// What an artifact's fields ask of the container that fetches it.
#include <algorithm>
#include <catch2/catch.hpp>

#include "operator/api/statuses.h"
#include "reconcilers/common/names.h"
#include "reconcilers/serving/fetching.h"
#include "reconcilers/serving/render.h"

namespace mo::serving {
namespace {

struct Scene {
  explicit Scene(const api::Artifact& artifact) {
    m.meta.key = {"ns", "m"};
    v.meta.key = {"ns", "m-v2"};
    v.artifact = artifact;
    r.meta.key = {"", "rules"};
    r.pod_template = R"({"spec": {"containers": [{"name": "server", "image": "server:1"}]}})";
  }
  Json pods() const {
    const auto result = render_deployment(m, v, r, Settings{"operator:1"});
    REQUIRE(result);
    CHECK(result->unpinned.empty());
    return result->body["spec"]["template"]["spec"];
  }
  std::string revision() const {
    const auto name = revision_name(m, v, r);
    REQUIRE(name);
    return *name;
  }
  std::string refusal() const {
    const auto result = revision_name(m, v, r);
    return result ? "" : result.error().message;
  }
  api::Model m;
  api::ModelVersion v;
  api::ModelRuntime r;
};

Json rendered(const api::Artifact& artifact) { return Scene(artifact).pods(); }

const std::string kDigest = "sha256:" + std::string(64, 'a');
api::Artifact image() { return {"oci://registry:5000/team/fraud@" + kDigest, kDigest, {"sklearn", ""}}; }
Scene mounted() {
  Scene scene(image());
  scene.r.image_volumes = true;
  return scene;
}

api::Artifact of(const std::string& uri) { return {uri, "sha256:abc", {"sklearn", ""}}; }

std::string model_path(const Json& spec) { return spec["containers"][0]["env"][2]["value"]; }

bool has(const Json& args, std::initializer_list<std::string> sequence) {
  return std::search(args.begin(), args.end(), sequence.begin(), sequence.end()) != args.end();
}

TEST_CASE("MODEL_PATH is the folder that an archive becomes") {
  struct Row {
    const char *uri, *path;
  };
  const Row rows[] = {{"s3://models/fraud/2.tar.gz", "/artifact/2"},    {"pvc://claim/a/fraud-2.tar", "/artifact/fraud-2"},
                      {"https://store/x.tar.zst?sig=1", "/artifact/x"}, {"configmap://maps/model.tgz", "/artifact/model"},
                      {"https://store/download", "/artifact/download"}, {"https://store/.tar", "/artifact/model"}};
  for (const Row& row : rows) {
    INFO(row.uri);
    api::Artifact artifact = of(row.uri);
    artifact.unpack = true;
    const Json spec = rendered(artifact);
    CHECK(model_path(spec) == row.path);
    const Json& args = spec["initContainers"][0]["args"];
    CHECK(has(args, {"--output", row.path}));
    CHECK(std::count(args.begin(), args.end(), "--unpack") == 1);
  }
  CHECK(model_path(rendered(of("s3://models/fraud/2.tar.gz"))) == "/artifact/2.tar.gz");
  CHECK(model_path(rendered(image())) == "/artifact/model");
}

TEST_CASE("a large artifact has time to come, and others look as they did") {
  api::Artifact artifact = of("https://store/x");
  const auto timeout = [&] {
    const Json args = rendered(artifact)["initContainers"][0]["args"];
    const auto found = std::find(args.begin(), args.end(), "--timeout");
    return found == args.end() ? "" : (found + 1)->get<std::string>();
  };
  CHECK(timeout() == "");
  artifact.size = "10Gi";
  CHECK(timeout() == "");
  artifact.size = "100G";
  CHECK(timeout() == "10600s");
}

TEST_CASE("a signature is fetched with the artifact, and its ConfigMap or claim mounted") {
  api::Artifact artifact = of("s3://models/a");
  artifact.public_key = "-----BEGIN PUBLIC KEY-----";
  artifact.signature_uri = "s3://models/a.sig";
  Json spec = rendered(artifact);
  CHECK(has(spec["initContainers"][0]["args"],
            {"--signature-uri", "s3://models/a.sig", "--public-key", "-----BEGIN PUBLIC KEY-----"}));
  CHECK(spec["initContainers"][0]["volumeMounts"].size() == 1);
  artifact.signature_uri = "configmap://signatures/a.sig";
  spec = rendered(artifact);
  CHECK(spec["volumes"][1] ==
        Json::parse(R"({"name": "modelops-signature", "configMap": {"name": "signatures", "optional": true}})"));
  CHECK(spec["initContainers"][0]["volumeMounts"][1] ==
        Json::parse(R"({"name": "modelops-signature", "mountPath": "/signature", "readOnly": true})"));
  artifact.signature_uri = "pvc://claim/signatures/a.sig";
  CHECK(rendered(artifact)["volumes"][1]["persistentVolumeClaim"] ==
        Json::parse(R"({"claimName": "claim", "readOnly": true})"));
  CHECK(to_json(artifact)["signature"] == Json({{"uri", artifact.signature_uri}, {"publicKey", artifact.public_key}}));
}

TEST_CASE("the kubelet brings what lies in a registry where runtime or Model say so") {
  const Json pods = mounted().pods();
  REQUIRE(pods["initContainers"].size() == 1);
  CHECK(has(pods["initContainers"][0]["args"], {"--output", "/artifact/model"}));
  CHECK(has(pods["initContainers"][0]["args"], {"--mounted"}));
  CHECK(pods["initContainers"][0]["volumeMounts"] == pods["containers"][0]["volumeMounts"]);
  CHECK_FALSE(pods.contains("imagePullSecrets"));
  CHECK(pods["volumes"] == Json::parse(R"([{"name": "modelops-image", "image": {"reference": "registry:5000/team/fraud@)" + kDigest +
                                       R"(", "pullPolicy": "IfNotPresent"}}])"));
  CHECK(pods["containers"][0]["volumeMounts"] == Json::parse(R"([{"name": "modelops-image", "mountPath": "/artifact/model", "readOnly": true}])"));
  CHECK(model_path(pods) == "/artifact/model");

  Scene says = mounted();
  says.m.image_volumes = false;
  CHECK(says.pods() == rendered(image()));
  says.r.image_volumes = false;
  says.m.image_volumes = true;
  CHECK(says.pods() == pods);
}

TEST_CASE("how an artifact comes is part of the revision, where it makes a difference") {
  const std::string fetched = Scene(image()).revision();
  CHECK(mounted().revision() != fetched);
  Scene says = mounted();
  says.m.image_volumes = false;
  CHECK(says.revision() == fetched);
  Scene elsewhere(of("s3://models/a"));
  const std::string before = elsewhere.revision();
  elsewhere.r.image_volumes = true;
  CHECK(elsewhere.revision() == before);
  CHECK(elsewhere.pods() == rendered(of("s3://models/a")));

  // What was on record before there was such a field is what it was.
  api::Model m;
  const std::string asked = asked_of(m);
  m.image_volumes = false;
  CHECK(asked_of(m) != asked);
}

TEST_CASE("the kubelet pulls with the artifact's Secret, beside those of the template") {
  Scene scene = mounted();
  scene.v.artifact.secret = "store";
  CHECK(scene.pods()["imagePullSecrets"] == Json::parse(R"([{"name": "store"}])"));
  CHECK(scene.pods()["volumes"].size() == 1);  // no container sees it
  scene.r.pod_template = R"({"spec": {"imagePullSecrets": [{"name": "servers"}, {"name": "store"}], "containers": [{"name": "server", "image": "server:1"}]}})";
  CHECK(scene.pods()["imagePullSecrets"] == Json::parse(R"([{"name": "servers"}, {"name": "store"}])"));
  scene.v.artifact.secret = "others";
  CHECK(scene.pods()["imagePullSecrets"] == Json::parse(R"([{"name": "others"}, {"name": "servers"}, {"name": "store"}])"));
  scene.r.image_volumes = false;
  CHECK(scene.pods()["imagePullSecrets"].size() == 2);
}

TEST_CASE("what is signed is verified before it serves, mounted or fetched") {
  Scene scene = mounted();
  scene.v.artifact.public_key = "PEM";
  scene.v.artifact.signature_uri = "configmap://signatures/a.sig";
  scene.v.artifact.secret = "store";
  const Json pods = scene.pods();
  REQUIRE(pods["initContainers"].size() == 1);
  const Json& verifies = pods["initContainers"][0];
  CHECK(verifies["name"] == "modelops-fetch");
  CHECK(has(verifies["args"], {"--output", "/artifact/model"}));
  CHECK(has(verifies["args"], {"--mounted"}));
  CHECK(has(verifies["args"], {"--signature-uri", "configmap://signatures/a.sig", "--public-key", "PEM"}));
  CHECK(verifies["volumeMounts"] == Json::parse(R"([{"name": "modelops-image", "mountPath": "/artifact/model", "readOnly": true},
      {"name": "modelops-credentials", "mountPath": "/credentials", "readOnly": true}, {"name": "modelops-signature", "mountPath": "/signature", "readOnly": true}])"));
  std::vector<std::string> volumes;
  for (const Json& volume : pods["volumes"]) volumes.push_back(volume["name"]);
  CHECK(volumes == std::vector<std::string>{"modelops-image", "modelops-signature", "modelops-credentials"});
}

TEST_CASE("images lie beside what is fetched") {
  Scene scene = mounted();
  scene.v.parts = {{"lora", "adapters/support", image()}, {"prompt", "prompt", of("configmap://prompts/chat")}};
  const Json pods = scene.pods();
  REQUIRE(pods["initContainers"].size() == 3);
  CHECK(pods["initContainers"][1]["name"] == "modelops-fetch-lora");
  CHECK(pods["initContainers"][1]["volumeMounts"] == Json::parse(R"([{"name": "modelops-image-lora", "mountPath": "/artifact/parts/adapters/support", "readOnly": true}])"));
  CHECK(pods["initContainers"][2]["volumeMounts"][0] == Json::parse(R"({"name": "modelops-artifact", "mountPath": "/artifact"})"));
  CHECK(pods["containers"][0]["volumeMounts"] == Json::parse(R"([{"name": "modelops-image", "mountPath": "/artifact/model", "readOnly": true},
      {"name": "modelops-image-lora", "mountPath": "/artifact/parts/adapters/support", "readOnly": true},
      {"name": "modelops-artifact", "mountPath": "/artifact/parts/prompt", "readOnly": true, "subPath": "parts/prompt"}])"));
  const uint64_t room = api::kDefaultArtifactBytes + (16ull << 20);
  CHECK(pods["volumes"][0]["emptyDir"]["sizeLimit"] == std::to_string(room));
  CHECK(pods["volumes"].size() == 4);
}

TEST_CASE("a template that knows the fetched artifact's volume is refused image volumes, and told the way out") {
  Scene scene = mounted();
  scene.r.pod_template = R"({"spec": {"containers": [{"name": "server", "image": "s"},
      {"name": "looks", "image": "l", "volumeMounts": [{"name": "modelops-artifact", "mountPath": "/x", "readOnly": true}]}]}})";
  CHECK(scene.refusal() ==
        "ModelRuntime rules: spec.template.spec.containers[looks].volumeMounts[/x] mounts volume modelops-artifact, and the kubelet mounts this version's artifacts as "
        "image volumes; set spec.serving.ociArtifacts: Fetch, or remove the mount");
  scene.m.image_volumes = false;
  CHECK(scene.refusal() == "");
  scene.m.image_volumes.reset();
  scene.r.pod_template = R"({"spec": {"containers": [{"name": "server", "image": "s"}], "volumes": [{"name": "modelops-image-x", "emptyDir": {}}]}})";
  CHECK(scene.refusal() ==
        "ModelRuntime rules: spec.template.spec.volumes[modelops-image-x] uses a name that the operator reserves for image volumes; set spec.serving.ociArtifacts: Fetch, or "
        "choose another name");
  scene.v.artifact = of("s3://models/a");
  CHECK(scene.refusal() == "");
}

}  // namespace
}  // namespace mo::serving
