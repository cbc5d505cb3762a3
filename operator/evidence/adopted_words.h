// What a Model needs to know of the Deployment and the Service that it takes the place of, out of the API server's
// JSON. Pure functions, thread-safe. ErrorKind::Malformed when it cannot be read.
#pragma once

#include <string>
#include <string_view>

#include "operator/core/result.h"

namespace mo::evidence {

// {"uid", "replicas", "ready", "labels" (of its pods), "controller" ("kind name" of its owner, or "")}; `ready` is 0 as long as its
// status is of an older generation.
Result<std::string> adopted_deployment(std::string_view deployment);

// {"uid", "resourceVersion", "selector", "ports", "managedBy" (the label, or ""), "controller", "external" (it has no selector to turn)}
Result<std::string> adopted_service(std::string_view service);

}  // namespace mo::evidence
