#include <catch2/catch.hpp>

#include "operator/json/strategic_merge.h"

using namespace mo;

namespace {

std::string merged(const char* base, const char* overlay) {
  return merge_pod_template(Json::parse(base), Json::parse(overlay)).dump();
}

}  // namespace

TEST_CASE("strategic merge: maps merge and null deletes", "[json]") {
  CHECK(merged(R"({"metadata":{"labels":{"a":"1","b":"2"}}})",
               R"({"metadata":{"labels":{"b":null,"c":"3"}}})") ==
        R"({"metadata":{"labels":{"a":"1","c":"3"}}})");
  CHECK(merged(R"({"a":1})", "{}") == R"({"a":1})");
  CHECK(merged(R"({"a":1})", "null") == R"({"a":1})");
  CHECK(merged("{}", R"({"spec":{"nodeSelector":{"a":null,"b":"1"}}})") ==
        R"({"spec":{"nodeSelector":{"b":"1"}}})");
}

TEST_CASE("strategic merge: lists with a merge key merge by it", "[json]") {
  CHECK(
      merged(
          R"({"spec":{"containers":[{"name":"server","image":"a","env":[{"name":"X","value":"1"},{"name":"Y","value":"2"}],
                  "ports":[{"containerPort":80,"name":"http"}],"volumeMounts":[{"mountPath":"/a","name":"v"}]}]}})",
          R"({"spec":{"containers":[{"name":"sidecar","image":"s"},
                  {"name":"server","env":[{"name":"Y","value":"3"},{"name":"Z","value":"4"}],
                   "ports":[{"containerPort":80,"name":"web"},{"containerPort":81}],"volumeMounts":[{"mountPath":"/a","readOnly":true}]}]}})") ==
      R"({"spec":{"containers":[{"env":[{"name":"X","value":"1"},{"name":"Y","value":"3"},{"name":"Z","value":"4"}],"image":"a","name":"server",)"
      R"("ports":[{"containerPort":80,"name":"web"},{"containerPort":81}],"volumeMounts":[{"mountPath":"/a","name":"v","readOnly":true}]},)"
      R"({"image":"s","name":"sidecar"}]}})");
  CHECK(
      merged(
          R"({"spec":{"topologySpreadConstraints":[{"topologyKey":"zone","maxSkew":1}],"hostAliases":[{"ip":"1","hostnames":["a"]}]}})",
          R"({"spec":{"topologySpreadConstraints":[{"topologyKey":"zone","maxSkew":2}],"hostAliases":[{"ip":"2"}]}})") ==
      R"({"spec":{"hostAliases":[{"hostnames":["a"],"ip":"1"},{"ip":"2"}],"topologySpreadConstraints":[{"maxSkew":2,"topologyKey":"zone"}]}})");
}

TEST_CASE("strategic merge: other lists are replaced", "[json]") {
  CHECK(
      merged(
          R"({"spec":{"tolerations":[{"key":"a"}],"containers":[{"name":"s","args":["1","2"],"envFrom":[{"prefix":"A"}]}]}})",
          R"({"spec":{"tolerations":[{"key":"b"}],"containers":[{"name":"s","args":["3"],"envFrom":[]}]}})") ==
      R"({"spec":{"containers":[{"args":["3"],"envFrom":[],"name":"s"}],"tolerations":[{"key":"b"}]}})");
}

TEST_CASE("strategic merge: $patch", "[json]") {
  CHECK(merged(R"({"spec":{"securityContext":{"a":1,"b":2}}})",
               R"({"spec":{"securityContext":{"$patch":"replace","c":3}}})") ==
        R"({"spec":{"securityContext":{"c":3}}})");
  CHECK(merged(R"({"spec":{"securityContext":{"a":1}}})",
               R"({"spec":{"securityContext":{"$patch":"delete"}}})") == R"({"spec":{}})");
  CHECK(merged(R"({"volumes":[{"name":"a"},{"name":"b"}]})",
               R"({"volumes":[{"name":"a","$patch":"delete"},{"name":"x","$patch":"delete"}]})") ==
        R"({"volumes":[{"name":"b"}]})");
  CHECK(merged(R"({"volumes":[{"name":"a"},{"name":"b"}]})",
               R"({"volumes":[{"$patch":"replace"},{"name":"c","emptyDir":{}}]})") ==
        R"({"volumes":[{"emptyDir":{},"name":"c"}]})");
  CHECK(merged("{}", R"({"volumes":[{"name":"c","emptyDir":{"$patch":"replace","medium":null}}]})") ==
        R"({"volumes":[{"emptyDir":{},"name":"c"}]})");
}

TEST_CASE("strategic merge: where types do not fit the overlay wins", "[json]") {
  CHECK(merged(R"({"spec":{"containers":[{"name":"a"}]}})", R"({"spec":{"containers":"none"}})") ==
        R"({"spec":{"containers":"none"}})");
  CHECK(merged(R"({"spec":7})", R"({"spec":{"containers":[{"name":"a"}]}})") ==
        R"({"spec":{"containers":[{"name":"a"}]}})");
  CHECK(merged(R"({"containers":{"a":1}})", R"({"containers":[1,null,{"image":"x"},{"name":{}}]})") ==
        R"({"containers":[1,null,{"image":"x"},{"name":{}}]})");
  CHECK(merged(R"({"containers":[3,{"name":"a"}]})", R"({"containers":[{"name":"a","image":"x"}]})") ==
        R"({"containers":[3,{"image":"x","name":"a"}]})");
  CHECK(merged("{}", "[1]") == "[1]");
  CHECK(merged("7", R"({"a":{"$patch":5}})") == R"({"a":{}})");
}

TEST_CASE("strategic merge: of items with one key the first is merged and all are deleted", "[json]") {
  const char* const both = R"({"ports":[{"containerPort":53,"protocol":"TCP"},{"containerPort":53,"protocol":"UDP"},{"containerPort":80}]})";
  CHECK(merged(both, R"({"ports":[{"containerPort":53,"name":"dns"}]})") ==
        R"({"ports":[{"containerPort":53,"name":"dns","protocol":"TCP"},{"containerPort":53,"protocol":"UDP"},{"containerPort":80}]})");
  CHECK(merged(both, R"({"ports":[{"containerPort":53,"$patch":"delete"},{"containerPort":53,"name":"new"}]})") ==
        R"({"ports":[{"containerPort":80},{"containerPort":53,"name":"new"}]})");
}
