// Kubernetes' strategic merge for pod templates: a Model's template laid over its runtime's.
#pragma once

#include "operator/json/json.h"

namespace mo {

// Both are PodTemplateSpecs. Maps merge key by key and null deletes. Lists with a merge key in Kubernetes'
// API (containers, env, volumes, ports, …) merge item by item: known items stay in their place, new ones
// follow in the overlay's order (kubectl patch puts them first; here the base's first container stays the
// first). Other lists are replaced. `$patch: replace` and
// `$patch: delete` work as in Kubernetes, on maps, on items, and `replace` as an item of a list on the whole
// list. Never fails: where types do not fit the overlay wins; read_pod_template() refuses such templates before.
// A null overlay changes nothing. Takes time in proportion to both. Pure, thread-safe; recursion is as deep as the overlay.
Json merge_pod_template(Json base, const Json& overlay);

}  // namespace mo
