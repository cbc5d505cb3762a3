// Jobs from templates that users wrote. Pure.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "operator/api/types.h"
#include "operator/core/result.h"
#include "operator/json/json.h"
#include "reconcilers/common/observed.h"

namespace mo {

using Environment = std::vector<std::pair<std::string, std::string>>;

// A JobTemplateSpec as people wrote it. ErrorKind::Invalid, and the sentence begins with `where`, if it is too large, of another shape,
// or has labels or annotations that are reserved for the operator.
Result<Json> read_job(const RawJson& job_template, const std::string& where);

// From a JobTemplateSpec, read as above, owned by the Model. Every container gets `environment`, which the template may override, and
// MODELOPS_RESULT: the file for the RunResult (the container's termination message).
Result<Json> render_job(const api::Model& model, const std::string& name, const RawJson& job_template,
                        const std::string& where, const Environment& environment);

bool ended(const api::Job& job);

// Why a Job that is neither finished nor suspended makes no progress.
struct JobTrouble {
  std::string why;  // a sentence that names the Job; empty: no known reason
  // Since when no pod has started to run: the start of the Job or the creation of its last pod.
  std::optional<TimePoint> waiting_since;
  std::optional<TimePoint> look_again;  // when to check again
};
JobTrouble trouble_of(const Observed& observed, const api::Job& job, TimePoint now);

}  // namespace mo
