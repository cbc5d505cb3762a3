#include "operator/api/statuses.h"
#include "reconcilers/common/conditions.h"
#include "reconcilers/training/run.h"

namespace mo::training {
namespace {

std::vector<api::Condition> conditions_of(const api::TrainingRun& run, const api::TrainingRunStatus& s, TimePoint now) {
  const bool good = s.phase == "Succeeded", over = s.finished.has_value();
  Conditions conditions(run.status.conditions, run.meta.generation, now);
  conditions.set("Ready", {good, s.phase, s.message});
  conditions.set("Reconciling", {!over, s.phase, over ? "" : s.message});
  conditions.set("Stalled", {over && !good, s.phase, over && !good ? s.message : ""});
  conditions.set("Complete", {over, s.phase, ""});
  conditions.set("Succeeded", {good, s.phase, s.message});
  return conditions.get();
}

}  // namespace

Json render_status(const api::TrainingRun& run, const api::TrainingRunStatus& s, TimePoint now) {
  api::TrainingRunStatus shown = s;
  shown.conditions = conditions_of(run, s, now);
  Json out = api::to_json(shown);
  if (s.attempt == 0) out.erase("seed");
  if (!s.stages.empty()) out["stage"] = s.stages.back().name;  // for people
  return out;
}

}  // namespace mo::training
