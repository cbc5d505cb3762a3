// A file's object over the live one. Pure.
#pragma once

#include <string>
#include <vector>

#include "operator/json/json.h"

namespace mo::plugin {

// What `kubectl apply` makes of a live object and a file's: fields that the file has, and those that only
// others have set.
Json laid_over(const Json& live, const Json& file);

// Of two specs, a line each: "spec.version: fraud-v1 -> fraud-v2".
std::vector<std::string> differences(const Json& before, const Json& after);

}  // namespace mo::plugin
