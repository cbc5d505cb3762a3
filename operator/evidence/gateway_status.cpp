#include "operator/evidence/gateway_status.h"

#include "operator/evidence/bounded_json.h"

namespace mo::evidence {
Result<std::string> class_of_gateway(std::string_view gateway) {
  const nlohmann::json object = parse_bounded(gateway);
  if (!object.is_object()) return fail(ErrorKind::Malformed, "the Gateway cannot be read");
  const std::string name = text_of(member_of(object, "spec"), "gatewayClassName");
  if (name.empty()) return fail(ErrorKind::Invalid, "it names no GatewayClass");
  return name;
}

Result<std::vector<std::string>> features_of_class(std::string_view gateway_class) {
  const nlohmann::json object = parse_bounded(gateway_class);
  if (!object.is_object()) return fail(ErrorKind::Malformed, "the GatewayClass cannot be read");
  std::vector<std::string> names;
  const nlohmann::json features = member_of(member_of(object, "status"), "supportedFeatures");
  if (features.is_array())
    for (const nlohmann::json& feature : features)
      names.push_back(feature.is_string() ? feature.get<std::string>() : text_of(feature, "name"));
  return names;
}

}  // namespace mo::evidence
