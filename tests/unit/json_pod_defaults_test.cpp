// Templates that differ only by what the API server takes for granted are the same.
#include <catch2/catch.hpp>

#include "operator/json/pod_defaults.h"

using namespace mo;

namespace {

Json bare(const char* text) { return without_defaults(Json::parse(text)); }

Json container(const char* words) {
  Json it = Json::parse(words);
  it["name"] = "server";
  return without_defaults({{"spec", {{"containers", {it}}}}})["spec"]["containers"][0];
}

}  // namespace

TEST_CASE("pod defaults: what the API server takes for granted is left out", "[json]") {
  CHECK(bare(R"({"spec": {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "terminationGracePeriodSeconds": 30, "securityContext": {}, "volumes": [
      {"name": "a", "configMap": {"name": "a", "defaultMode": 420}}, {"name": "b", "emptyDir": {"medium": ""}}]}})") ==
        Json::parse(R"({"spec": {"volumes": [{"name": "a", "configMap": {"name": "a"}}, {"name": "b", "emptyDir": {}}]}})"));
  CHECK(container(R"({"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "resources": {}, "tty": false,
      "ports": [{"containerPort": 8080, "protocol": "TCP"}], "env": [{"name": "A", "value": ""}, {"name": "B", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "x"}}}],
      "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}})") ==
        Json::parse(R"({"name": "server", "ports": [{"containerPort": 8080}], "env": [{"name": "A"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}],
      "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}}})"));
}

TEST_CASE("pod defaults: what says otherwise stays", "[json]") {
  const char* other = R"({"spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 31, "hostNetwork": true, "containers": [
      {"name": "server", "ports": [{"containerPort": 53, "protocol": "UDP"}], "env": [{"name": "A", "value": "0"}], "livenessProbe": {"httpGet": {"scheme": "HTTPS", "path": "/x"}}}]}})";
  CHECK(bare(other) == Json::parse(other));
}

TEST_CASE("pod defaults: how an image is pulled goes by its tag", "[json]") {
  for (const char* moves : {R"({"image": "server", "imagePullPolicy": "Always"})", R"({"image": "registry:5000/server", "imagePullPolicy": "Always"})",
                            R"({"image": "server:latest", "imagePullPolicy": "Always"})", R"({"image": "server:1", "imagePullPolicy": "IfNotPresent"})",
                            R"({"image": "a/server@sha256:12", "imagePullPolicy": "IfNotPresent"})"}) {
    INFO(moves);
    CHECK_FALSE(container(moves).contains("imagePullPolicy"));
  }
  for (const char* says : {R"({"image": "server", "imagePullPolicy": "IfNotPresent"})", R"({"image": "server:1", "imagePullPolicy": "Always"})", R"({"imagePullPolicy": "Always"})"}) {
    INFO(says);
    CHECK(container(says).contains("imagePullPolicy"));
  }
}

TEST_CASE("pod defaults: requests as high as the limits are those limits", "[json]") {
  CHECK(container(R"({"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}})") ==
        container(R"({"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}})"));
  CHECK(container(R"({"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "500m"}}})")["resources"]["requests"]["cpu"] == "500m");
}

TEST_CASE("pod defaults: another shape is passed over", "[json]") {
  for (const char* odd : {"[]", "7", R"({"spec": 3})", R"({"spec": {"containers": {"a": 1}, "volumes": [1, {"configMap": "x"}]}})", R"({"spec": {"containers": [null, {"resources": 7, "image": 3, "env": ["a"], "lifecycle": []}]}})"}) {
    INFO(odd);
    CHECK(bare(odd) == Json::parse(odd));
  }
}
