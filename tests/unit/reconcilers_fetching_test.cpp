// What an artifact's fields ask of the container that fetches it.
#include <algorithm>
#include <catch2/catch.hpp>

#include "operator/api/statuses.h"
#include "reconcilers/common/names.h"
#include "reconcilers/serving/fetching.h"
#include "reconcilers/serving/render.h"

namespace mo::serving {
namespace {

Json rendered(const api::Artifact& artifact) {
  api::Model m;
  m.meta.key = {"ns", "m"};
  api::ModelVersion v;
  v.meta.key = {"ns", "m-v2"};
  v.artifact = artifact;
  api::ModelRuntime r;
  r.pod_template = R"({"spec": {"containers": [{"name": "server", "image": "server:1"}]}})";
  const auto result = render_deployment(m, v, r, Settings{"operator:1"});
  REQUIRE(result);
  CHECK(result->unpinned.empty());
  return result->body["spec"]["template"]["spec"];
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
  const std::string digest = "sha256:" + std::string(64, 'a');
  CHECK(model_path(rendered(of("oci://registry/team/fraud@" + digest))) == "/artifact/model");
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

}  // namespace
}  // namespace mo::serving
