// What every object that a Model owns begins with. Pure.
#pragma once

#include <string>

#include "operator/api/types.h"
#include "operator/core/ids.h"
#include "operator/json/json.h"

namespace mo {

// apiVersion, kind, metadata with our labels and the Model as controlling owner.
Json object_of(const api::Model& model, Kind kind, const std::string& name);

}  // namespace mo
