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
  const std::vector<std::string> names = serving::revision_names(model, version, runtime);
  const auto is_asked = [&](const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  if (names.empty() || is_asked(stable->name)) return {};
  std::vector<std::string> rollouts_of_it;
  for (const std::string& name : names)
    rollouts_of_it.push_back(runtime_rollout_name(model.meta.key.name, version.meta.key.name, runtime.meta.uid, runtime.meta.generation, name));
  Refresh refresh{names.front(), rollouts_of_it.front(), nullptr};
  for (const auto& r : rollouts) {
    if (r->meta.deleting || r->version != version.meta.key.name) continue;
    const bool bad = rollout::is_over(r->status.phase) && r->status.phase != "Succeeded";
    const bool same = std::find(rollouts_of_it.begin(), rollouts_of_it.end(), r->meta.key.name) != rollouts_of_it.end();
    if (same || (bad && r->origin == api::kOriginRuntime && r->status.revision && is_asked(r->status.revision->name))) refresh.tried = r;
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
