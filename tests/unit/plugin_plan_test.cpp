// What `kubectl model plan` takes a file for.
#include <catch2/catch.hpp>

#include "plugin/overlay.h"

using namespace mo;
using plugin::laid_over;

namespace {

Json spec(const char* text) { return {{"spec", Json::parse(text)}}; }

Json applied(const char* live, const char* before) {
  Json object = spec(live);
  object["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = spec(before).dump();
  return object;
}

Json laid(const Json& live, const char* file) { return laid_over(live, spec(file))["spec"]; }

}  // namespace

TEST_CASE("plugin: what a file leaves out goes if it was in the file before", "[plugin]") {
  const Json live =
      applied(R"({"a":1,"b":2,"c":{"d":3,"e":4},"scaled":5})", R"({"a":1,"b":2,"c":{"d":3,"e":4}})");
  CHECK(laid(live, R"({"a":7,"c":{"d":3}})") == Json::parse(R"({"a":7,"c":{"d":3},"scaled":5})"));
  CHECK(laid(live, R"({"a":1,"b":2,"c":{"d":3,"e":4}})") == live["spec"]);
}

TEST_CASE("plugin: lists are taken whole", "[plugin]") {
  const Json live =
      applied(R"({"steps":[{"weight":10},{"weight":50}]})", R"({"steps":[{"weight":10},{"weight":50}]})");
  CHECK(laid(live, R"({"steps":[{"weight":20}]})") == Json::parse(R"({"steps":[{"weight":20}]})"));
}

TEST_CASE("plugin: of an object that was never applied only the replicas are somebody else's", "[plugin]") {
  const Json live =
      spec(R"({"version":"m-v1","description":"x","serving":{"replicas":5,"runtime":{"name":"a"}}})");
  CHECK(laid(live, R"({"version":"m-v2","serving":{"runtime":{"name":"b"}}})") ==
        Json::parse(R"({"version":"m-v2","serving":{"replicas":5,"runtime":{"name":"b"}}})"));
}

TEST_CASE("plugin: an annotation that is no JSON, or no object, is none", "[plugin]") {
  Json live = spec(R"({"a":1,"b":2})");
  for (const Json& odd : {Json("{"), Json("[]"), Json("7"), Json(7), Json(nullptr)}) {
    live["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = odd;
    CHECK(laid(live, R"({"a":3})")["a"] == 3);
  }
}
