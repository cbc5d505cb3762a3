// What Gateway API objects say, out of the API server's JSON. Pure functions, thread-safe. ErrorKind::Malformed when the JSON is broken.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "operator/core/result.h"

namespace mo::evidence {

// spec.gatewayClassName of a Gateway. ErrorKind::Invalid when there is none.
Result<std::string> class_of_gateway(std::string_view gateway);

// The names in status.supportedFeatures of a GatewayClass, whose entries are objects with a name, and were plain names before
// Gateway API 1.3. Empty when it says nothing of features.
Result<std::vector<std::string>> features_of_class(std::string_view gateway_class);

}  // namespace mo::evidence
