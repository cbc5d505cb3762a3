// Which records a plan adds to a Model's audit trail, and which ModelAudits it makes of them. Pure.
//
// Records go to status.audit of the Model in the write that decides, before anything follows from the decision. status.audit also
// says what is on record of the rollout under way: what differs from that is news, and a crash between the statuses of Model and
// ModelRollout records nothing twice.
//
// A segment is the shortest run of records, from the oldest that no ModelAudit holds, that ends a rollout or is kSegment long. It
// never changes, and its ModelAudit is named after its last record and that one's hash: a repeat makes no second one. It leaves
// status.audit once that ModelAudit is seen.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "operator/audit/chain.h"
#include "operator/core/ed25519.h"
#include "reconcilers/common/observed.h"

namespace mo::audit {

inline constexpr size_t kSegment = 50;
// While no ModelAudit can be made. Of more the oldest are dropped from status, which a record says; the chain goes on.
inline constexpr size_t kMostPending = 200;

struct Settings {
  bool on = true;
  std::shared_ptr<const SigningKey> key = nullptr;  // null: ModelAudits are not signed
  std::optional<Duration> keep = {};                // of exported ModelAudits where no ModelPolicy says; nothing: for ever
  bool prune_others = true;                         // also trails of Models that are gone; of several installations one does
  std::string installation = {};                    // what makes ModelAudits, and exports them whatever becomes of their Model
};

struct Decision {
  const Observed& observed;
  const api::ModelStatus& next;  // as decided, but for `audit`
  // Of the rollout under way, or that ends now.
  const api::ModelRollout* rollout = nullptr;
  const api::RolloutStatus* status = nullptr;
  // Those that are over without having run, by name.
  const std::map<std::string, api::RolloutStatus>* closed = nullptr;
  const Settings* settings = nullptr;  // null: nothing is pruned
};

// When pauses and resumes that were only counted are to be told by a record; nothing if there are none.
std::optional<TimePoint> counted_until(const api::AuditStatus& audit);

// status.audit as it is to be.
api::AuditStatus record(const Decision& decision, TimePoint now);

// Makes the ModelAudits of the segments that are complete. Belongs at the end of a plan: nothing waits for it.
std::vector<Action> seal(const Observed& observed, const api::AuditStatus& audit, const Settings& settings);

// Why segments that are complete are in no ModelAudit, a sentence with the way out; empty if that is not so.
std::string unsealed(const Observed& observed, const api::AuditStatus& audit);

// Two status.audit differ in nothing but what a ModelAudit holds by now.
bool only_sealed(const Json& before, const Json& after);

}  // namespace mo::audit
