#include "reconcilers/governance/record.h"

namespace mo::governance {
namespace {

Json to_json(const api::Clearance& clearance) {
  Json approvals = Json::array();
  for (const api::UsedApproval& a : clearance.approvals)
    approvals.push_back({{"role", a.role}, {"approver", a.approver}, {"name", a.name}, {"uid", a.uid}});
  return {{"before", clearance.before},
          {"at", format_time(clearance.at)},
          {"subject", clearance.subject},
          {"approvals", std::move(approvals)}};
}

}  // namespace

Json to_json(const api::GovernanceRecord& record) {
  Json policies = Json::array(), approvals = Json::array(), cleared = Json::array();
  for (const api::PolicyRef& p : record.policies)
    policies.push_back({{"name", p.name}, {"uid", p.uid}, {"generation", p.generation}});
  for (const api::ApprovalDemand& d : record.approvals)
    approvals.push_back({{"role", d.role}, {"count", d.count}, {"before", d.before}});
  for (const api::Clearance& c : record.cleared) cleared.push_back(to_json(c));
  Json out = {{"policies", std::move(policies)}, {"separateAuthor", record.separate_author}};
  const auto list = [&](const char* name, Json value) {
    if (!value.empty()) out[name] = std::move(value);
  };
  if (record.separate_trainer) out["separateTrainer"] = true;
  list("beforeTraffic", record.before_traffic);
  list("approvals", std::move(approvals));
  list("authors", record.authors);
  list("cleared", std::move(cleared));
  if (record.min_bake) out["minBake"] = format_duration(*record.min_bake);
  if (record.min_shadow) out["minShadow"] = format_duration(*record.min_shadow);
  if (record.approval_valid_for) out["approvalValidFor"] = format_duration(*record.approval_valid_for);
  return out;
}

Json to_json(const api::AwaitedApproval& approval) {
  Json roles = Json::array();
  for (const auto& r : approval.roles) roles.push_back({{"role", r.role}, {"count", r.count}, {"given", r.given}});
  return {{"reason", approval.reason}, {"subject", approval.subject}, {"before", approval.before}, {"roles", std::move(roles)}};
}

}  // namespace mo::governance
