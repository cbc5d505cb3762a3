// What a ModelRollout's status keeps of the ModelPolicies that hold for it, and of the approvals that it waits for or has used.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/mirror.h"
#include "operator/core/time.h"

namespace mo::api {

// What the Model says about itself, as far as policies ask.
struct About {
  std::string model_class, risk_tier;
  bool description = false, team = false, contact = false;  // whether it says them
  bool intended_use = false, out_of_scope = false, limitations = false, ethical_considerations = false, business_owner = false,
       business_value = false;  // of spec.card
  std::string changed_by;                                   // annotation modelops.dev/changed-by
};

// Which parts of spec.lineage a ModelVersion states.
struct LineageFacts {
  bool code_repository = false, code_revision = false, image = false, run = false;
  int data_sets = 0, data_digests = 0;
  std::shared_ptr<const RegistryOrigin> registry = nullptr;  // null: it was not imported from one
};

inline constexpr const char* kFirstTraffic = "FirstTraffic";  // before the candidate's first request
inline constexpr const char* kFullTraffic = "FullTraffic";    // before it gets all of them

struct ApprovalDemand {
  std::string role;
  int count = 1;
  std::string before = kFirstTraffic;
  bool operator==(const ApprovalDemand&) const = default;
};

struct PolicyRef {
  std::string name, uid;
  int64_t generation = 0;
};

// An approval that opened something.
struct UsedApproval {
  std::string role, approver, name, uid;
};

struct Clearance {
  std::string before;  // kFirstTraffic | kFullTraffic
  TimePoint at{};
  std::string subject;
  std::vector<UsedApproval> approvals;
};

// The policies that are enforced, taken when the rollout started. One that changes later touches the next rollout.
struct GovernanceRecord {
  std::vector<PolicyRef> policies;
  std::vector<std::string> before_traffic;  // gates that pass before the candidate's first request
  std::vector<ApprovalDemand> approvals;
  std::optional<Duration> min_bake;    // also where desiredState Promoted skips what is left
  std::optional<Duration> min_shadow;  // so long the candidate gets copies before its first request; Promoted does not skip it
  bool separate_author = false, separate_trainer = false;
  std::optional<Duration> approval_valid_for;
  std::vector<std::string> authors;  // who wrote the change, or made the version; they may not approve it
  std::vector<Clearance> cleared;
};

// What is waited for now.
struct AwaitedApproval {
  std::string reason;   // AwaitingApproval | ApprovalsNotEnforced | AuthorUnknown
  std::string subject;  // what a ModelApproval has to name
  std::string before;
  struct Role {
    std::string role;
    int count = 0, given = 0;
  };
  std::vector<Role> roles;
};

}  // namespace mo::api
