// What stands in a plan for cluster-scoped objects that the person may not read. Pure.
#pragma once

#include <vector>

#include "operator/core/ids.h"
#include "operator/json/json.h"

namespace mo::plugin {

// Whether a plan for this Model looks at objects of that kind.
bool needs(const Json& model, Kind kind);

// ModelRuntimes: those that the Models name, and one for all formats of the versions; their templates are made up.
std::vector<Json> stand_in_runtimes(const std::vector<Json>& models, const std::vector<Json>& versions);
// ClusterModelGateSets: those that the Models name, with a gate for each name that their steps and training use.
std::vector<Json> stand_in_gate_sets(const std::vector<Json>& models);

}  // namespace mo::plugin
