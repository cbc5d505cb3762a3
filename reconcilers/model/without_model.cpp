#include "reconcilers/model/without_model.h"

#include "reconcilers/audit/retention.h"
#include "reconcilers/common/status_write.h"
#include "reconcilers/rollout/advance.h"
#include "reconcilers/rollout/status.h"
#include "reconcilers/training/training.h"
#include "reconcilers/version/phase.h"

namespace mo::model {

Plan plan_without_model(const Observed& o, TimePoint now, const audit::Settings& audit) {
  Plan plan;
  const std::string missing = "Model " + o.key.name + " does not exist in namespace " + o.key.ns;
  for (const auto& r : o.rollouts) {
    if (rollout::is_over(r->status.phase) || r->meta.deleting) continue;
    api::RolloutStatus next = r->status;
    next.observed_generation = r->meta.generation;
    if (next.phase.empty()) next.phase = "Pending";
    write_status(plan.actions, Kind::ModelRollout, r->meta, r->status.raw,
                 rollout::render_status(*r, next, {"ModelNotFound", missing, true}, "", now).dump(), missing);
  }
  for (const auto& run : o.runs) {
    if (api::is_over(*run) || run->meta.deleting) continue;
    api::TrainingRunStatus next = run->status;
    next.observed_generation = run->meta.generation;
    next.phase = "Pending";
    next.message = missing;
    write_status(plan.actions, Kind::TrainingRun, run->meta, run->status.raw, training::render_status(*run, next, now).dump(), missing);
  }
  for (const auto& v : o.versions) {
    if (v->meta.deleting || (v->phase != "Serving" && v->phase != "Candidate")) continue;
    const auto next = version::next_status(*v, {}, o, now);
    if (next) write_status(plan.actions, Kind::ModelVersion, v->meta, v->status_raw, next->dump(), missing);
  }
  if (!audit.on) return plan;
  for (Action& action : audit::prune(o, nullptr, audit, now)) plan.actions.push_back(std::move(action));
  if (const auto at = audit::prunes_next(o, audit, now)) plan.requeue_after = *at - now;
  return plan;
}

}  // namespace mo::model
