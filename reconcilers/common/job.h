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

// A JobTemplateSpec as people wrote it. ErrorKind::Invalid, and the sentence begins with `where`, if it is too large, of another shape,
// or has labels or annotations of the operator's, by which its Job or pods would pass for others.
Result<Json> read_job(const RawJson& job_template, const std::string& where);

// From a JobTemplateSpec, read as above, owned by the Model. Every container gets `environment`, which the template may override, and
// MODELOPS_RESULT: the file that takes the RunResult (the container's termination message).
Result<Json> render_job(const api::Model& model, const std::string& name, const RawJson& job_template,
                        const std::string& where, const Environment& environment);

}  // namespace mo
