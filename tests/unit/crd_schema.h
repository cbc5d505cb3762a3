// The CRD YAML as a test sees it.
#pragma once

#include <string>
#include <vector>

#include "operator/json/json.h"

namespace mo::crd {

// The openAPIV3Schema of crds/<plural>.yaml.
Json schema_of(const std::string& plural);

// An object of that schema with every field set, one item in each list. Texts are "0", which is a decimal and
// a duration too.
Json full_object(const Json& schema);

// Paths in `value` that the API server would prune, since the schema does not name them:
// "status.intent.since".
std::vector<std::string> unknown_fields(const Json& schema, const Json& value);

}  // namespace mo::crd
