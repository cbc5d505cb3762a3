#include <catch2/catch.hpp>

#include "operator/evidence/gateway_status.h"

using namespace mo::evidence;

TEST_CASE("the class of a Gateway", "[evidence]") {
  CHECK(class_of_gateway(R"({"spec": {"gatewayClassName": "traefik"}})").value() == "traefik");
  for (const char* cut : {"", "{", "[]", "null"}) CHECK(class_of_gateway(cut).error().kind == mo::ErrorKind::Malformed);
  for (const char* odd : {"{}", R"({"spec": []})", R"({"spec": {"gatewayClassName": 7}})"})
    CHECK(class_of_gateway(odd).error().kind == mo::ErrorKind::Invalid);
}

TEST_CASE("the features of a GatewayClass, as objects and as Gateway API once had them", "[evidence]") {
  using Names = std::vector<std::string>;
  CHECK(features_of_class(R"({"status": {"supportedFeatures": [{"name": "HTTPRoute"}, {"name": "Mirror"}]}})").value() == Names{"HTTPRoute", "Mirror"});
  CHECK(features_of_class(R"({"status": {"supportedFeatures": ["HTTPRoute"]}})").value() == Names{"HTTPRoute"});
  // A shadow was to be given up for an answer that had been cut on its way.
  for (const char* cut : {"", "[1]", R"({"status": {"supportedFeatures": [{"na)"}) CHECK(features_of_class(cut).error().kind == mo::ErrorKind::Malformed);
  for (const char* silent : {"{}", R"({"status": {}})", R"({"status": {"supportedFeatures": "all"}})", R"({"status": {"supportedFeatures": []}})"})
    CHECK(features_of_class(silent).value().empty());
  CHECK(features_of_class(R"({"status": {"supportedFeatures": [7, {}, {"name": 7}]}})").value() == Names{"", "", ""});
}
