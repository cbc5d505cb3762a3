// An object against its CRD: the schema and its CEL rules, as the API server checks them. Pure.
#pragma once

#include <string>
#include <vector>

#include "operator/json/json.h"
#include "plugin/crds.h"

namespace mo::plugin {

struct Mistake {
  std::string pointer;  // "/spec/rollout/steps/3"
  std::string path;     // "spec.rollout.steps[3]"
  std::string message;
};

// Sets the defaults in `object`, and says what the API server would refuse. Status is taken away: it is the
// operator's. `old` is the object that it would replace, if there is one: some fields may not change then.
std::vector<Mistake> check(const Crd& crd, Json& object, const Json* old = nullptr);

// What stands in a schema that check() does not know: it would be passed over. For the test that keeps the
// two together.
std::vector<std::string> unknown_in(const Json& schema);

}  // namespace mo::plugin
