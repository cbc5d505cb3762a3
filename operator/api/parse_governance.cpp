// ModelPolicies and ModelApprovals, and what ModelRollouts keep of them.
#include "operator/api/parse.h"
#include "operator/api/readers.h"

namespace mo::api {

const Gate* ModelPolicy::gate(const std::string& name) const {
  const auto found = std::find_if(gates.begin(), gates.end(), [&](const Gate& g) { return g.name == name; });
  return found == gates.end() ? nullptr : &*found;
}

namespace read {

// ---- ModelPolicy ----

using Expression = LabelSelector::Expression;
constexpr Field<Expression> kExpression[] = {
    {"key", member<&Expression::key>}, {"operator", member<&Expression::op>}, {"values", member<&Expression::values>}};
bool read(value& v, Expression& out, const Path& at) { return read_object(v, out, kExpression, at); }

constexpr Field<LabelSelector> kSelector[] = {{"matchLabels", member<&LabelSelector::match_labels>},
                                              {"matchExpressions", member<&LabelSelector::expressions>}};
bool read(value& v, LabelSelector& out, const Path& at) { return read_object(v, out, kSelector, at); }

constexpr Field<ModelPolicy> kAppliesTo[] = {{"riskTiers", member<&ModelPolicy::risk_tiers>},
                                             {"classes", member<&ModelPolicy::classes>},
                                             {"namespaces", member<&ModelPolicy::namespaces>},
                                             {"namespaceSelector", member<&ModelPolicy::namespace_selector>}};

void read_strategies(value& v, ModelPolicy& out, const Path& at) {
  each_item(v, at, [&](value& item, const Path& here) {
    struct One {
      RolloutPolicy::Strategy strategy = RolloutPolicy::Strategy::Canary;
    } one;
    word<&One::strategy, kStrategies>(item, one, here);
    out.strategies.push_back(one.strategy);
  });
}

void read_keys(value& v, ModelPolicy& out, const Path& at) {
  each_item(v, at, [&](value& item, const Path& here) {
    struct Key {
      std::string pem;
    } key;
    static constexpr Field<Key> kKey[] = {{"publicKey", member<&Key::pem>}};
    if (read_object(item, key, kKey, here)) out.signed_by.push_back(std::move(key.pem));
  });
}

constexpr Field<ModelPolicy> kRequire[] = {{"beforeTraffic", member<&ModelPolicy::before_traffic>},
                                           {"background", member<&ModelPolicy::background>},
                                           {"strategies", read_strategies},
                                           {"maxFirstWeight", member<&ModelPolicy::max_first_weight>},
                                           {"minBake", member<&ModelPolicy::min_bake>},
                                           {"minShadow", member<&ModelPolicy::min_shadow>},
                                           {"fields", member<&ModelPolicy::fields>},
                                           {"lineage", member<&ModelPolicy::lineage>},
                                           {"registries", member<&ModelPolicy::registries>},
                                           {"runtimes", member<&ModelPolicy::runtimes>},
                                           {"signedBy", read_keys}};

constexpr Field<ApprovalDemand> kDemand[] = {always<&ApprovalDemand::role>("role"),
                                             always<&ApprovalDemand::count>("count"),
                                             always<&ApprovalDemand::before>("before")};
bool read(value& v, ApprovalDemand& out, const Path& at) { return read_object(v, out, kDemand, at); }
bool write(const ApprovalDemand& from, Out out) { return write_object(from, kDemand, out); }

constexpr Field<FreezeWindow> kFreeze[] = {{"name", member<&FreezeWindow::name>},
                                           {"from", member<&FreezeWindow::from>},
                                           {"to", member<&FreezeWindow::to>},
                                           {"cron", member<&FreezeWindow::cron>},
                                           {"timeZone", member<&FreezeWindow::time_zone>},
                                           {"duration", member<&FreezeWindow::duration>}};
bool read(value& v, FreezeWindow& out, const Path& at) { return read_object(v, out, kFreeze, at); }

constexpr Field<ModelPolicy> kSeparation[] = {{"author", member<&ModelPolicy::separate_author>},
                                              {"trainer", member<&ModelPolicy::separate_trainer>}};

void read_enforcement(value& v, ModelPolicy& out, const Path& at) {
  std::string word;
  if (read(v, word, at)) out.enforced = word != "Warn";
}

constexpr Field<ModelPolicy> kRetention[] = {{"audit", member<&ModelPolicy::keep_audits>}};

constexpr Field<ModelPolicy> kPolicySpec[] = {{"appliesTo", into<kAppliesTo>},
                                              {"enforcement", read_enforcement},
                                              {"gates", member<&ModelPolicy::gates>},
                                              {"monitors", member<&ModelPolicy::monitors>},
                                              {"retention", into<kRetention>},
                                              {"require", into<kRequire>},
                                              {"approvals", member<&ModelPolicy::approvals>},
                                              {"separationOfDuties", into<kSeparation>},
                                              {"approvalValidFor", member<&ModelPolicy::approval_valid_for>},
                                              {"maxAge", member<&ModelPolicy::max_age>},
                                              {"freeze", member<&ModelPolicy::freeze>}};

void read_policy_spec(value& v, Root<ModelPolicy>& out, const Path& at) {
  read_object_and_raw(v, out.object, out.object.raw, kPolicySpec, at);
}
constexpr Field<Root<ModelPolicy>> kModelPolicy[] = {
    {"apiVersion", ignored}, {"kind", ignored}, {"metadata", root_metadata}, {"spec", read_policy_spec}};

// ---- ModelApproval ----

constexpr Field<ModelApproval> kApprovalRollout[] = {{"name", member<&ModelApproval::rollout>}};
void read_decision(value& v, ModelApproval& out, const Path& at) {
  std::string word;
  if (read(v, word, at)) out.approved = word == "Approved";
}
constexpr Field<ModelApproval> kApprovalSpec[] = {{"rolloutRef", into<kApprovalRollout>},
                                                  {"role", member<&ModelApproval::role>},
                                                  {"decision", read_decision},
                                                  {"approver", member<&ModelApproval::approver>},
                                                  {"subject", member<&ModelApproval::subject>},
                                                  {"reason", member<&ModelApproval::reason>},
                                                  {"ticket", member<&ModelApproval::ticket>}};
constexpr Field<Root<ModelApproval>> kApproval[] = {
    {"apiVersion", ignored}, {"kind", ignored}, {"metadata", root_metadata}, {"spec", root_part<kApprovalSpec>}};

// ---- ModelRollout.status ----

constexpr Field<PolicyRef> kPolicyRef[] = {
    always<&PolicyRef::name>("name"), always<&PolicyRef::uid>("uid"), always<&PolicyRef::generation>("generation")};
bool read(value& v, PolicyRef& out, const Path& at) { return read_object(v, out, kPolicyRef, at); }
bool write(const PolicyRef& from, Out out) { return write_object(from, kPolicyRef, out); }

constexpr Field<UsedApproval> kUsed[] = {always<&UsedApproval::role>("role"),
                                         always<&UsedApproval::approver>("approver"),
                                         always<&UsedApproval::name>("name"),
                                         always<&UsedApproval::uid>("uid")};
bool read(value& v, UsedApproval& out, const Path& at) { return read_object(v, out, kUsed, at); }
bool write(const UsedApproval& from, Out out) { return write_object(from, kUsed, out); }

constexpr Field<Clearance> kClearance[] = {always<&Clearance::before>("before"),
                                           always<&Clearance::at>("at"),
                                           always<&Clearance::subject>("subject"),
                                           always<&Clearance::approvals>("approvals")};
bool read(value& v, Clearance& out, const Path& at) { return read_object(v, out, kClearance, at); }
bool write(const Clearance& from, Out out) { return write_object(from, kClearance, out); }

constexpr Field<GovernanceRecord> kRecord[] = {always<&GovernanceRecord::policies>("policies"),
                                               stored<&GovernanceRecord::before_traffic>("beforeTraffic"),
                                               stored<&GovernanceRecord::approvals>("approvals"),
                                               stored<&GovernanceRecord::min_bake>("minBake"),
                                               stored<&GovernanceRecord::min_shadow>("minShadow"),
                                               always<&GovernanceRecord::separate_author>("separateAuthor"),
                                               stored<&GovernanceRecord::separate_trainer>("separateTrainer"),
                                               stored<&GovernanceRecord::approval_valid_for>("approvalValidFor"),
                                               stored<&GovernanceRecord::authors>("authors"),
                                               stored<&GovernanceRecord::cleared>("cleared")};
bool read(value& v, GovernanceRecord& out, const Path& at) { return read_object(v, out, kRecord, at); }
bool write(const GovernanceRecord& from, Out out) { return write_object(from, kRecord, out); }

constexpr Field<AwaitedApproval::Role> kAwaitedRole[] = {always<&AwaitedApproval::Role::role>("role"),
                                                         always<&AwaitedApproval::Role::count>("count"),
                                                         always<&AwaitedApproval::Role::given>("given")};
bool read(value& v, AwaitedApproval::Role& out, const Path& at) { return read_object(v, out, kAwaitedRole, at); }
bool write(const AwaitedApproval::Role& from, Out out) { return write_object(from, kAwaitedRole, out); }

constexpr Field<AwaitedApproval> kAwaited[] = {always<&AwaitedApproval::reason>("reason"),
                                               always<&AwaitedApproval::subject>("subject"),
                                               always<&AwaitedApproval::before>("before"),
                                               always<&AwaitedApproval::roles>("roles")};
bool read(value& v, AwaitedApproval& out, const Path& at) { return read_object(v, out, kAwaited, at); }
bool write(const AwaitedApproval& from, Out out) { return write_object(from, kAwaited, out); }

}  // namespace read

template <>
Result<ModelPolicy> parse<ModelPolicy>(std::string_view json, Coverage* coverage) {
  read::Report report{{}, {}, coverage};
  auto root = read::read_root(json, read::kModelPolicy, report);
  if (!root) return fail(root.error());
  root->object.problem = std::move(report.problem);
  return std::move(root->object);
}

template <>
Result<ModelApproval> parse<ModelApproval>(std::string_view json, Coverage* coverage) {
  read::Report report{{}, {}, coverage};
  auto root = read::read_root(json, read::kApproval, report);
  if (!root) return fail(root.error());
  return std::move(root->object);
}

}  // namespace mo::api
