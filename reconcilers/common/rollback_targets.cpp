#include "reconcilers/common/rollback_targets.h"

#include <algorithm>
#include <tuple>

namespace mo {

std::vector<std::string> rollback_targets(const std::vector<Move>& moves, const std::string& stable) {
  std::vector<std::string> way;
  const auto go = [&](const std::string& version) {
    if (version.empty()) return;
    const auto been = std::find(way.begin(), way.end(), version);
    if (been == way.end())
      way.push_back(version);
    else
      way.erase(std::next(been), way.end());  // what came after it was left
  };
  for (const Move& move : moves) {
    go(move.from);
    go(move.to);
  }
  go(stable);
  if (!way.empty()) way.pop_back();
  std::reverse(way.begin(), way.end());
  return way;
}

std::vector<Move> moves_of(const std::vector<Ref<api::ModelRollout>>& rollouts) {
  std::vector<Ref<api::ModelRollout>> promotions;
  for (const auto& rollout : rollouts)
    if (rollout->status.phase == "Succeeded" && rollout->status.finished) promotions.push_back(rollout);
  std::sort(promotions.begin(), promotions.end(), [](const auto& a, const auto& b) {
    return std::tie(*a->status.finished, a->meta.key.name) < std::tie(*b->status.finished, b->meta.key.name);
  });
  std::vector<Move> moves;
  for (const auto& promotion : promotions) moves.push_back({promotion->status.from_version, promotion->version});
  return moves;
}

bool served_before(const std::vector<Ref<api::ModelRollout>>& rollouts, const api::ModelRollout& candidate, const std::string& revision) {
  if (revision.empty()) return false;
  const auto is = [&](const std::string& version, const std::optional<api::Revision>& recorded) {
    return version == candidate.version && recorded && recorded->name == revision;
  };
  return std::any_of(rollouts.begin(), rollouts.end(), [&](const auto& r) {
    const api::RolloutStatus& s = r->status;
    return s.phase == "Succeeded" && s.started && r->meta.uid != candidate.meta.uid &&
           (is(r->version, s.revision) || is(s.from_version, s.from_revision));
  });
}

}  // namespace mo
