// Deletes history: finished ModelRollouts, and ModelVersions that the operator registered, beyond Model.spec.history. Pure.
//
// Deleted is only what nobody writes again: a ModelRollout or a ModelVersion that a file holds would come back by the next `kubectl apply`
// or sync, and a ModelRollout that comes back runs. So ModelVersions that people wrote stay, and of ModelRollouts those go that the operator
// or kubectl model made, or whose name the API server generated.
//
// Nothing goes that a decision may need: the rollout that the intent names or that the spec's wish would be made as, the last promotions
// (what `rollback` goes back by), and each version that serves, is warm, has pods, is asked for, or is named by a rollout that stays. The
// parent in a version's lineage is a name on record; it does not keep that version.
#pragma once

#include <string>
#include <vector>

#include "reconcilers/common/observed.h"

namespace mo::history {

inline constexpr size_t kPromotionsKept = 3;  // of ModelRollouts that succeeded
inline constexpr size_t kMostAtOnce = 20;     // deletions in one plan

// `status` as decided now; `spec_version`: what the spec asks for ("" if nothing); `rolling`: a rollout is under way. The actions belong at
// the end of a plan: by then all statuses say what they will ever say of what goes.
std::vector<Action> prune(const Observed& observed, const api::ModelStatus& status, const std::string& spec_version, bool rolling);

}  // namespace mo::history
