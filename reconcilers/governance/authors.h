// Who wrote what a rollout brings, for ModelPolicies with separationOfDuties. Annotation modelops.dev/changed-by says it, and admission
// (manifests/admission/approvals.yaml) lets nobody write another's name. Pure.
#pragma once

#include <string>
#include <vector>

#include "reconcilers/common/observed.h"

namespace mo::governance {

// A spec that the operator sees for the first time adds its author to status.spec_authors. They add up until the spec serves as it asks:
// a later author answers for the last change, not for what others changed before.
void note_author(const api::Model& model, api::ModelStatus& status);

// Who may not approve: with separate_author everybody who had a hand in what this rollout brings (in the spec, the ModelVersion, the
// ModelRollout), with separate_trainer who made the ModelVersion or its TrainingRun. Empty: some part of it nobody signed.
std::vector<std::string> authors_of(const Observed& observed, const api::ModelStatus& status, const api::ModelRollout& rollout,
                                    const api::GovernanceRecord& record);

}  // namespace mo::governance
