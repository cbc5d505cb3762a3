// What statuses keep for later decisions, as JSON by the same tables that parse<T> reads: to_json() of what was read is what was written. What
// is there for people alone (summaries, counts) its writer adds. Pure, thread-safe, never throws but for lack of memory.
#pragma once

#include "operator/api/training_run.h"
#include "operator/api/types.h"
#include "operator/json/json.h"

namespace mo::api {

Json to_json(const ModelStatus& status);
Json to_json(const RolloutStatus& status);
Json to_json(const TrainingRunStatus& status);
Json to_json(const RuntimeStatus& status);
Json status_json(const ModelVersion& version);  // its status alone

// Parts of statuses that are also written elsewhere.
Json to_json(const AuditStatus& audit);
Json to_json(const std::vector<CountedSteering>& counted);
Json to_json(const Adopted& adopted);
Json to_json(const std::vector<MonitorStatus>& monitors);
Json to_json(const MirrorStatus& mirror);  // null if it has nothing to say

// Of a spec. The hashes of revisions are made of this text: what is there today must not change.
Json to_json(const Artifact& artifact);
Json to_json(const std::vector<Part>& parts);

}  // namespace mo::api
