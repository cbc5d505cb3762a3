// The governance part of ModelRollout.status as JSON.
#pragma once

#include "operator/api/types.h"
#include "operator/json/json.h"

namespace mo::governance {

Json to_json(const api::GovernanceRecord& record);
Json to_json(const api::AwaitedApproval& approval);

}  // namespace mo::governance
