#include "reconcilers/version/phase.h"

#include <algorithm>

#include "operator/api/statuses.h"
#include "reconcilers/common/conditions.h"

namespace mo::version {
namespace {

struct Phase {
  std::string name, message;
};

bool failed(const api::ModelRollout& rollout) {
  return rollout.status.phase == "RolledBack" || rollout.status.phase == "Failed";
}

// On evidence. What failed so stays down, whatever is measured afterwards.
Ref<api::ModelRollout> failed_rollout(const std::string& version, const Observed& o) {
  const auto last = o.last_rollout(version);
  return last && failed(*last) ? last : nullptr;
}

bool gave_traffic(const std::string& version, const Observed& o) {
  return std::any_of(o.rollouts.begin(), o.rollouts.end(), [&](const auto& r) { return r->status.from_version == version; });
}

Phase decide(const api::ModelVersion& version, const Role& role, const Observed& o) {
  const std::string& name = version.meta.key.name;
  if (name == role.stable && role.retired) return {"Retired", "served until its Model was retired"};
  if (name == role.stable) return {"Serving", "serves Model " + version.model};
  if (name == role.candidate) return {"Candidate", "is being rolled out"};
  if (name == role.rejected) return {"Rejected", role.rejected_message};
  if (name == role.evaluated && version.phase == "Rejected" && version.failed_rollout.empty() && !failed_rollout(name, o))
    return {"Registered", "evaluated again by " + role.evaluation.run};
  if (version.phase == "Serving")
    return {"Superseded", role.stable.empty() ? "its Model was deleted" : "replaced by " + role.stable};
  if (version.phase == "Candidate") {
    if (const auto failed = failed_rollout(name, o)) return {"Rejected", failed->status.message};
    const auto last = o.last_rollout(name);
    return {"Registered", last ? "its last rollout ended as " + last->status.phase : ""};
  }
  return {version.phase.empty() ? "Registered" : version.phase, version.message};
}

// The ModelRollout itself may go as history.
std::string failed_rollout(const api::ModelVersion& version, const std::string& phase, const Observed& o) {
  if (phase != "Rejected") return "";
  const auto last = o.last_rollout(version.meta.key.name);
  if (!last) return version.failed_rollout;
  return failed(*last) ? last->meta.key.name : "";
}

// So may those be that it gave its traffic to.
bool served(const api::ModelVersion& version, const std::string& phase, const Observed& o) {
  return version.served || phase == "Serving" || version.phase == "Serving" || version.phase == "Superseded" ||
         version.phase == "Retired" || gave_traffic(version.meta.key.name, o);
}

}  // namespace

std::optional<Json> next_status(const api::ModelVersion& version, const Role& role, const Observed& o,
                                TimePoint now) {
  const Phase phase = decide(version, role, o);
  const bool first = version.phase.empty() || version.phase == "Registered";
  const std::string failed = failed_rollout(version, phase.name, o);
  const bool served = version::served(version, phase.name, o);
  const bool evaluated = version.meta.key.name == role.evaluated;
  const bool same = phase.name == version.phase && phase.message == version.message;
  if (!evaluated && same && failed == version.failed_rollout && served == version.served) return {};
  if (!evaluated && first && phase.name == "Registered" && phase.message.empty() && !served) return {};
  const bool rejected = phase.name == "Rejected";
  Conditions conditions(version.conditions, version.meta.generation, now);
  conditions.set("Ready", {!rejected, phase.name, phase.message});
  conditions.set("Reconciling", {false, phase.name, ""});
  conditions.set("Stalled", {rejected, phase.name, rejected ? phase.message : ""});
  api::ModelVersion next;
  next.phase = phase.name;
  next.message = phase.message;
  next.conditions = conditions.get();
  next.failed_rollout = failed;
  next.served = served;
  next.evaluation = evaluated ? role.evaluation : version.evaluation;
  Json status = api::status_json(next);
  status["observedGeneration"] = version.meta.generation;
  return status;
}

}  // namespace mo::version
