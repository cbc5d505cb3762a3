#include "operator/json/pod_config.h"

#include <catch2/catch.hpp>

using namespace mo;

namespace {

const char* const kTemplate = R"({"spec": {
  "volumes": [{"name": "a", "configMap": {"name": "files", "optional": true}}, {"name": "b", "secret": {"secretName": "s"}},
              {"name": "c", "projected": {"sources": [{"configMap": {"name": "projected"}}, {"secret": {"name": "t"}}]}}],
  "initContainers": [{"name": "i", "envFrom": [{"configMapRef": {"name": "files"}}, {"secretRef": {"name": "u"}}]}],
  "containers": [{"name": "server", "env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "keys", "key": "x", "optional": true}}},
                                            {"name": "Y", "value": "files"}]}]}})";

TEST_CASE("the ConfigMaps of a template are found wherever they are named") {
  CHECK(configs_of(Json::parse(kTemplate)) ==
        std::map<std::string, bool>{{"files", false}, {"keys", true}, {"projected", false}});
  CHECK(configmaps_of(kTemplate) == std::vector<std::string>{"files", "keys", "projected"});
}

TEST_CASE("others can be named in their place, and nothing else changes") {
  Json renamed = Json::parse(kTemplate);
  rename_configs(renamed, {{"files", "files-1"}, {"keys", "keys-1"}, {"s", "never"}, {"u", "never"}});
  Json expected = Json::parse(kTemplate);
  Json& spec = expected["spec"];
  spec["volumes"][0]["configMap"]["name"] = spec["initContainers"][0]["envFrom"][0]["configMapRef"]["name"] = "files-1";
  spec["containers"][0]["env"][0]["valueFrom"]["configMapKeyRef"]["name"] = "keys-1";
  CHECK(renamed == expected);
}

TEST_CASE("what is no template names nothing") {
  for (const char* odd : {"", "null", "[]", R"({"spec": "configMap"})", R"({"spec": {"volumes": {"configMap": 1}}})",
                          R"({"spec": {"volumes": [{"configMap": {"name": 7}}, {"configMap": "x"}, null]}})", "{\"configMap"}) {
    INFO(odd);
    CHECK(configmaps_of(odd).empty());
  }
}

}  // namespace
