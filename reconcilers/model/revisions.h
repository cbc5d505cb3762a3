// Which revision (operator/api/revision.h) serves, which one the spec asks for, and which one a rollout brings. Pure.
//
// What serves is on record in Model.status.stableRevision, and what a rollout brings in ModelRollout.status.revision from its start on: pods
// are made of these, so that an edit of the Model's template, of its ModelRuntime or another image of the operator changes no pod. The next
// rollout takes what the spec says then.
#pragma once

#include <optional>
#include <string>

#include "reconcilers/common/observed.h"
#include "reconcilers/serving/render.h"

namespace mo::model {

// The name of the revision that `version` has by what Model and ModelRuntime say now; nothing where they cannot be used, or are not there.
std::optional<std::string> asked_revision(const Observed& observed, const std::string& version);

// What serves, where no operator has put that on record.
api::Revision taken_over(const Observed& observed, const std::string& version);

// `version` serves, and as the spec asks for it: a rollout to it would bring nothing.
bool serves_as_asked(const Observed& observed, const api::ModelStatus& status, const std::string& version);
// What this ModelRollout asks for serves.
bool serves_as_asked(const Observed& observed, const api::ModelStatus& status, const api::ModelRollout& rollout);

// What one can go back to by this name (ModelRollout.spec.revision): that of the version that served before. Null: it is not on record.
const api::Served* on_record(const api::ModelStatus& status, const std::string& version, const std::string& revision);

// `version` serves from now on, made of `revision`. `back`: somebody went back to it, so that what served until now is no way back.
void take_over(api::ModelStatus& status, const std::string& version, const std::string& digest, api::Revision revision, bool back);

// What the spec says now of how the version is made that serves.
struct AskedNow {
  std::string reason, problem;   // why that cannot be used: RuntimeNotFound | InvalidTemplate; empty: it can
  std::string runtime_outdated;  // a sentence: the Model's words are those of then, but its ModelRuntime says otherwise now
};
AskedNow asked_now(const Observed& observed, const api::ModelStatus& status);

// What this rollout brings: as on record, else what the spec says now. Nothing where that cannot be used.
std::optional<api::Revision> brought_by(const Observed& observed, const api::ModelRollout& rollout, const api::ModelStatus& status,
                                        const serving::Settings& settings);

// Of a first version that needs no rollout.
std::optional<api::Revision> first_revision(const Observed& observed, const std::string& version, const serving::Settings& settings);

// How the rollout's side is called (side.h), with or without a revision.
std::string candidate_side(const std::string& version, const std::optional<api::Revision>& revision, const api::ModelStatus& status);

}  // namespace mo::model
