// Approvals: whose word counts for what, and who is missing. Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reconcilers/common/observed.h"

namespace mo::governance {

// What people approve: the rollout, the bits, the policies and the gates that have passed so far. Another of any of these is
// another subject, and a word on the one before counts no more.
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
  std::optional<TimePoint> expires;      // when the first that counts does so no longer
  bool complete() const;
};

// Each person counts for one role. With `among` only the ModelApprovals of these UIDs count.
Tally tally(const Question& question, const std::vector<Ref<api::ModelApproval>>& approvals, TimePoint now,
            const std::set<std::string>* among = nullptr);

// "risk (0 of 1) and legal (1 of 2)": the roles that are not complete.
std::string missing(const Tally& tally);

}  // namespace mo::governance
