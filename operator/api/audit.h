// The audit trail of a Model: what its status keeps of it, and the kind ModelAudit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "operator/core/time.h"

namespace mo::api {

// Pauses and resumes of a rollout that is steered all day: counted, and told in one record.
struct CountedSteering {
  std::string actor, action, reason;
  int64_t count = 0;
  TimePoint last{};
  bool operator==(const CountedSteering&) const = default;
};

// What the records say of the rollout under way, or of the last one: what differs from it is news.
struct AuditedRollout {
  std::string uid, name, version;
  int step = 0, weight = 0, attempt = 0, cleared = 0;
  bool mirrored = false, baking = false;
  std::string pause;  // why it is paused; empty: it is not
  std::string state;    // Promoted, once that was recorded
  std::string resumed;  // the resumeRequestedAt that was acted on last
  std::string steered;  // a hash of annotation modelops.dev/steered-by, once it was told: it says nothing of what is done after
  std::string ended;  // the action that ended it
  int toggles = 0;    // pauses and resumes with a record of their own
  std::vector<CountedSteering> steering;  // those after them, that no record tells yet
  std::optional<TimePoint> steering_since;
  bool operator==(const AuditedRollout&) const = default;
};

struct AuditStatus {
  int64_t seq = 0;                   // of the last record; 0: there is none
  std::string head;                  // its hash
  std::vector<std::string> records;  // those that no ModelAudit holds yet, the last is `seq`
  AuditedRollout rollout;
  int64_t pruned = 0;  // ModelAudits up to this record were exported and kept long enough: they go, as a record says
  int64_t first() const { return seq - static_cast<int64_t>(records.size()) + 1; }  // of `records`
};

}  // namespace mo::api
