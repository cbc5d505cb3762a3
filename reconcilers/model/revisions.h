// Which revision (operator/api/revision.h) serves, which one the spec asks for, and which one a rollout brings. Pure.
//
// Model.status.stableRevision records what serves, and ModelRollout.status.revision what a rollout brings. Pods are rendered from these records, so
// a change of the Model's template, of its ModelRuntime or of the operator's image changes no pod. The next rollout uses the spec of that time.
#pragma once

#include <optional>
#include <string>

#include "reconcilers/common/observed.h"
#include "reconcilers/serving/render.h"

namespace mo::model {

// The revision name of `version` with the current Model and ModelRuntime; nothing if one is missing or invalid.
std::optional<std::string> asked_revision(const Observed& observed, const std::string& version);

// The serving revision, if an older operator did not record it.
api::Revision taken_over(const Observed& observed, const std::string& version);

// `version` serves with the current spec: a rollout to it would change nothing.
bool serves_as_asked(const Observed& observed, const api::ModelStatus& status, const std::string& version);
// The revision of this ModelRollout serves.
bool serves_as_asked(const Observed& observed, const api::ModelStatus& status, const api::ModelRollout& rollout);

// The rollback target with this name (ModelRollout.spec.revision) in status.previous. Null if it is not recorded.
const api::Served* on_record(const api::ModelStatus& status, const std::string& version, const std::string& revision);

// `version` serves from now on, with `revision`. `back`: this is a rollback, so what served until now is no rollback target.
void take_over(api::ModelStatus& status, const std::string& version, const std::string& digest, api::Revision revision, bool back);

// The revision of the serving version with the current spec.
struct AskedNow {
  std::string reason, problem;   // why it cannot be rendered: RuntimeNotFound | InvalidTemplate; empty: it can
  std::string runtime_outdated;  // a message: the Model is unchanged, but its ModelRuntime has changed
};
AskedNow asked_now(const Observed& observed, const api::ModelStatus& status);

// The revision of this rollout: the recorded one, else from the current spec. Nothing if it cannot be rendered.
std::optional<api::Revision> brought_by(const Observed& observed, const api::ModelRollout& rollout, const api::ModelStatus& status,
                                        const serving::Settings& settings);

// Of a first version that needs no rollout.
std::optional<api::Revision> first_revision(const Observed& observed, const std::string& version, const serving::Settings& settings);

// The rollout's side (side.h), with or without a revision.
std::string candidate_side(const std::string& version, const std::optional<api::Revision>& revision, const api::ModelStatus& status);

}  // namespace mo::model
