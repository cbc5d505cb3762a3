#include "reconcilers/runtimes/follow.h"

#include <algorithm>

#include "reconcilers/common/names.h"
#include "reconcilers/rollout/advance.h"
#include "reconcilers/serving/render.h"
#include "reconcilers/training/job.h"

namespace mo::runtimes {

std::string name_of(const ObjectKey& model) { return model.ns + "/" + model.name; }

std::optional<Refresh> refresh_of(const api::Model& model, const api::ModelStatus& status, const api::ModelVersion& version, const api::ModelRuntime& runtime,
                                  const std::vector<Ref<api::ModelRollout>>& rollouts) {
  const auto& stable = status.stable_revision;
  // A Model whose own template was changed gets there by the rollout of that.
  if (!stable || stable->name.empty() || stable->asked != serving::asked_of(model)) return {};
  const Result<std::string> asked = serving::revision_name(model, version, runtime);
  if (!asked || *asked == stable->name) return {};
  Refresh refresh{*asked, runtime_rollout_name(model.meta.key.name, version.meta.key.name, runtime.meta.uid, runtime.meta.generation, *asked), nullptr};
  for (const auto& r : rollouts) {
    if (r->meta.deleting || r->version != version.meta.key.name) continue;
    const bool bad = rollout::is_over(r->status.phase) && r->status.phase != "Succeeded";
    const bool same = r->meta.key.name == refresh.rollout;
    if (same || (bad && r->origin == api::kOriginRuntime && r->status.revision && r->status.revision->name == *asked)) refresh.tried = r;
    if (same) break;
  }
  return refresh;
}

std::vector<Action> follow(const Observed& o, const api::ModelStatus& status) {
  const Ref<api::ModelVersion> version = o.version(status.stable_version);
  if (!version || !o.model->problem.empty()) return {};
  const auto runtime = serving::choose_runtime(*o.model, version->artifact.format, o.runtimes);
  if (!runtime || !(*runtime)->update.automatic) return {};
  const auto& rolling = (*runtime)->status.rolling;
  if (std::find(rolling.begin(), rolling.end(), name_of(o.key)) == rolling.end()) return {};
  const auto refresh = refresh_of(*o.model, status, *version, **runtime, o.rollouts);
  if (!refresh || refresh->tried) return {};
  const std::string body = training::render_rollout(*o.model, refresh->rollout, version->meta.key.name, api::kOriginRuntime).dump();
  return {Apply{{Kind::ModelRollout, {o.key.ns, refresh->rollout}}, body, "", hash_of(body), "ModelRuntime " + (*runtime)->meta.key.name + " has changed"}};
}

}  // namespace mo::runtimes
