// Model.status.audit and ModelAudits.
#include "operator/api/parse.h"
#include "operator/api/statuses.h"
#include "operator/api/stored.h"

namespace mo::api {
namespace read {

constexpr Field<CountedSteering> kCounted[] = {always<&CountedSteering::actor>("actor"),
                                              always<&CountedSteering::action>("action"),
                                              stored<&CountedSteering::reason>("reason"),
                                              always<&CountedSteering::count>("count"),
                                              always<&CountedSteering::last>("last")};
bool read(value& v, CountedSteering& out, const Path& at) { return read_object(v, out, kCounted, at); }
bool write(const CountedSteering& from, Out out) { return write_object(from, kCounted, out); }

constexpr Field<AuditedRollout> kAuditedRollout[] = {
    always<&AuditedRollout::uid>("uid"),         always<&AuditedRollout::name>("name"),
    always<&AuditedRollout::version>("version"), always<&AuditedRollout::step>("step"),
    always<&AuditedRollout::weight>("weight"),   stored<&AuditedRollout::attempt>("attempt"),
    stored<&AuditedRollout::cleared>("cleared"), stored<&AuditedRollout::mirrored>("mirrored"),
    stored<&AuditedRollout::baking>("baking"),   stored<&AuditedRollout::pause>("pause"),
    stored<&AuditedRollout::state>("state"),     stored<&AuditedRollout::resumed>("resumed"),
    stored<&AuditedRollout::steered>("steered"), stored<&AuditedRollout::ended>("ended"),
    stored<&AuditedRollout::toggles>("toggles"), stored<&AuditedRollout::steering>("steering"),
    stored<&AuditedRollout::steering_since>("steeringSince")};
bool read(value& v, AuditedRollout& out, const Path& at) { return read_object(v, out, kAuditedRollout, at); }
bool write(const AuditedRollout& from, Out out) { return write_object(from, kAuditedRollout, out) && !from.uid.empty(); }

constexpr Field<AuditStatus> kAudit[] = {always<&AuditStatus::seq>("seq"),
                                         always<&AuditStatus::head>("head"),
                                         stored<&AuditStatus::records>("records"),
                                         stored<&AuditStatus::rollout>("rollout"),
                                         stored<&AuditStatus::pruned>("prunedThrough")};
bool read(value& v, AuditStatus& out, const Path& at) { return read_object(v, out, kAudit, at); }
bool write(const AuditStatus& from, Out out) { return write_object(from, kAudit, out) && from.seq > 0; }

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

Json to_json(const AuditStatus& audit) {
  Json out;
  read::write(audit, read::Out{out});
  return out;
}
Json to_json(const std::vector<CountedSteering>& counted) {
  Json out;
  read::write(counted, read::Out{out});
  return out;
}

}  // namespace mo::api
