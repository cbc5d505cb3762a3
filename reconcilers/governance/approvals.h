// Approvals: which ones count, and which roles are missing. Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reconcilers/common/observed.h"

namespace mo::governance {

// The hash of what people approve: rollout, artifact, policies and passed gates. If one of them changes, the subject
// changes and earlier approvals are invalid.
std::string subject_of(const api::ModelRollout& rollout, const api::RolloutStatus& status);

struct Question {
  const api::ModelRollout& rollout;
  const api::GovernanceRecord& record;
  std::string before;  // kFirstTraffic | kFullTraffic
  std::string subject;
};

struct Tally {
  std::vector<api::AwaitedApproval::Role> roles;
  std::vector<api::UsedApproval> used;   // that make up `given`
  Ref<api::ModelApproval> rejected;      // null: nobody has
  std::vector<std::string> passed_over;  // ModelApprovals that do not count, and why
  std::optional<TimePoint> expires;      // when the first valid approval expires
  bool complete() const;
};

// Each person counts for one role. With `among` only the ModelApprovals of these UIDs count.
Tally tally(const Question& question, const std::vector<Ref<api::ModelApproval>>& approvals, TimePoint now,
            const std::set<std::string>* among = nullptr);

// "risk (0 of 1) and legal (1 of 2)": the roles that are not complete.
std::string missing(const Tally& tally);

}  // namespace mo::governance
