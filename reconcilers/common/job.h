// Jobs from templates that users wrote. Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "operator/api/types.h"
#include "operator/core/result.h"
#include "operator/json/json.h"

namespace mo {

using Environment = std::vector<std::pair<std::string, std::string>>;

// From a JobTemplateSpec, owned by the Model. Every container gets `environment`, which the template may override, and
// MODELOPS_RESULT: the file that takes the RunResult (the container's termination message).
Result<Json> render_job(const api::Model& model, const std::string& name, const RawJson& job_template,
                        const Environment& environment);

}  // namespace mo
