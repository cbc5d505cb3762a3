// Which ModelAudits are old enough to go. Pure.
//
// Nothing goes that was not exported: the annotation modelops.dev/exported says so, and admission lets nobody but the operator
// write it. Of the trail of a Model that is there the oldest go, never the last, and none after a gap; before they do, a record
// `Pruned` in the same trail says up to which record and its hash, so that what is left is known to be whole. The trail of a
// Model that is gone has no further record: it goes as a whole.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reconcilers/audit/trail.h"
#include "reconcilers/common/observed.h"

namespace mo::audit {

struct Exported {
  TimePoint at{};
  std::string uid;  // of the Model
  int64_t first = 0, last = 0;
  std::string head;  // the hash of record `last`
};
// What the annotation of a ModelAudit says; nothing if it says nothing that can be read.
std::optional<Exported> exported(const std::string& annotation);

// What may go of the trail of the Model that is there; no objects: nothing.
struct Prunable {
  size_t objects = 0;
  int64_t first = 0, through = 0;  // records
  std::string head;                // of `through`
};
Prunable prunable(const Observed& observed, const Settings& settings, TimePoint now);

// Why ModelAudits that are old enough stay for ever, a sentence with the way out; empty if that is not so. A Warning Event tells
// it once.
inline constexpr const char* kRetentionStopped = "RetentionStopped";  // reason of condition Audited, and of that Event
std::string stopped(const Observed& observed, const Settings& settings, TimePoint now);
std::optional<Event> tell_stopped(const Observed& observed, const std::string& why);

// Deletes what status.audit.prunedThrough says, and trails of Models of this name that are gone. `audit` null: the last Model
// is gone, too.
std::vector<Action> prune(const Observed& observed, const api::AuditStatus* audit, const Settings& settings, TimePoint now);

// When the next ModelAudit is old enough; nothing if none will be.
std::optional<TimePoint> prunes_next(const Observed& observed, const Settings& settings, TimePoint now);

}  // namespace mo::audit
