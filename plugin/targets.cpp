#include "plugin/targets.h"

#include <algorithm>

#include "plugin/fields.h"
#include "plugin/names.h"

namespace mo::plugin {
namespace {

Result<Target> target_of(Session& session, const std::string& word, bool rollouts) {
  const auto found = named(word, rollouts ? std::vector{Kind::Model, Kind::ModelRollout} : std::vector{Kind::Model});
  if (!found) return fail(found.error());
  if (found->kind == Kind::Model) return Target{found->name};
  const auto rollout = get(session, Kind::ModelRollout, found->name);
  if (!rollout) return fail(rollout.error());
  return Target{text(*rollout, "spec.modelRef.name"), found->name};
}

}  // namespace

Result<std::vector<Target>> targets(Session& session, const Selection& selection, bool rollouts) {
  std::vector<Target> all;
  for (const std::string& word : selection.names) {
    const auto target = target_of(session, word, rollouts);
    if (!target) return fail(target.error());
    if (std::find(all.begin(), all.end(), *target) == all.end()) all.push_back(*target);
  }
  if (selection.selector.empty()) return all;
  kube::ListOptions labelled;
  labelled.label_selector = selection.selector;
  const auto models = list(session, Kind::Model, labelled);
  if (!models) return fail(models.error());
  for (const Json& model : *models) all.push_back({name_of(model)});
  if (all.empty())
    return fail(ErrorKind::NotFound, "no Model of namespace " + session.ns + " has labels " + selection.selector);
  return all;
}

}  // namespace mo::plugin
