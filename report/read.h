// From objects as the API server has them to what reports say of them.
#pragma once

#include "report/portfolio.h"

namespace mo::report {

Model read_model(const Json& object);
Version read_version(const Json& object);
Rollout read_rollout(const Json& object);
Run read_run(const Json& object);
Approval read_approval(const Json& object);

}  // namespace mo::report
