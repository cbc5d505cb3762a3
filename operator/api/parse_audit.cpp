// Model.status.audit and ModelAudits.
#include "operator/api/parse.h"
#include "operator/api/read.h"

namespace mo::api {
namespace read {

constexpr Field<CountedSteering> kCounted[] = {{"actor", member<&CountedSteering::actor>},
                                              {"action", member<&CountedSteering::action>},
                                              {"reason", member<&CountedSteering::reason>},
                                              {"count", member<&CountedSteering::count>},
                                              {"last", member<&CountedSteering::last>}};
bool read(value& v, CountedSteering& out, const Path& at) { return read_object(v, out, kCounted, at); }

constexpr Field<AuditedRollout> kAuditedRollout[] = {
    {"uid", member<&AuditedRollout::uid>},         {"name", member<&AuditedRollout::name>},
    {"version", member<&AuditedRollout::version>}, {"step", member<&AuditedRollout::step>},
    {"weight", member<&AuditedRollout::weight>},   {"attempt", member<&AuditedRollout::attempt>},
    {"cleared", member<&AuditedRollout::cleared>}, {"mirrored", member<&AuditedRollout::mirrored>},
    {"baking", member<&AuditedRollout::baking>},   {"pause", member<&AuditedRollout::pause>},
    {"state", member<&AuditedRollout::state>},     {"resumed", member<&AuditedRollout::resumed>},
    {"steered", member<&AuditedRollout::steered>}, {"ended", member<&AuditedRollout::ended>},
    {"toggles", member<&AuditedRollout::toggles>}, {"steering", member<&AuditedRollout::steering>},
    {"steeringSince", member<&AuditedRollout::steering_since>}};
bool read(value& v, AuditedRollout& out, const Path& at) { return read_object(v, out, kAuditedRollout, at); }

constexpr Field<AuditStatus> kAudit[] = {{"seq", member<&AuditStatus::seq>},
                                         {"head", member<&AuditStatus::head>},
                                         {"records", member<&AuditStatus::records>},
                                         {"rollout", member<&AuditStatus::rollout>},
                                         {"prunedThrough", member<&AuditStatus::pruned>}};
bool read(value& v, AuditStatus& out, const Path& at) { return read_object(v, out, kAudit, at); }

// Its records are for people and for kubectl model: the watch leaves the spec out.
constexpr Field<Root<ModelAudit>> kModelAudit[] = {
    {"apiVersion", ignored}, {"kind", ignored}, {"metadata", root_metadata}, {"spec", ignored}};

}  // namespace read

template <>
Result<ModelAudit> parse<ModelAudit>(std::string_view json, Coverage* coverage) {
  read::Report report{{}, {}, coverage};
  auto root = read::read_root(json, read::kModelAudit, report);
  if (!root) return fail(root.error());
  root->object.model = std::move(root->extra.model);
  root->object.exported = std::move(root->extra.exported);
  root->object.installation = std::move(root->extra.installation);
  return std::move(root->object);
}

}  // namespace mo::api
