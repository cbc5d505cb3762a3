// The kinds ModelPolicy and ModelApproval.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/api/namespace.h"
#include "operator/api/types.h"

namespace mo::api {

// A time in which nothing moves forward: from `from` to `to`, or for `duration` from each time of `cron` on.
struct FreezeWindow {
  std::string name;
  std::optional<TimePoint> from, to;
  std::string cron;
  std::string time_zone = "UTC";
  Duration duration{0};
};

struct ModelPolicy {
  ObjectMeta meta;
  // Empty lists match all. Namespaces are names, or patterns with "*".
  std::vector<std::string> risk_tiers, classes, namespaces;
  std::optional<LabelSelector> namespace_selector;
  bool enforced = true;
  std::vector<Gate> gates;
  std::vector<Monitor> monitors;
  // require
  std::vector<std::string> before_traffic, background;
  std::vector<RolloutPolicy::Strategy> strategies;
  std::optional<int> max_first_weight;
  std::optional<Duration> min_bake, min_shadow;
  std::vector<std::string> fields, lineage;
  std::vector<std::string> registries;  // patterns with "*"
  std::vector<std::string> runtimes;
  std::vector<std::string> signed_by;  // public keys in PEM; empty: no signature is asked for
  std::vector<ApprovalDemand> approvals;
  bool separate_author = false, separate_trainer = false;
  std::optional<Duration> max_age;  // of what serves, since it was evaluated
  std::optional<Duration> approval_valid_for;
  std::optional<Duration> keep_audits;  // how long ModelAudits are kept at least
  std::vector<FreezeWindow> freeze;
  RawJson raw = "{}";   // spec as it was read
  std::string problem;  // it could not be read although admission let it pass: why

  const Gate* gate(const std::string& name) const;
};

// One person's word on one rollout. Admission sees to it that `approver` wrote it and may approve for `role`.
struct ModelApproval {
  ObjectMeta meta;
  std::string rollout;  // name of the ModelRollout, in its namespace
  std::string role, approver, subject, reason, ticket;
  bool approved = false;  // or rejected
};

}  // namespace mo::api
