#include "reconcilers/common/way_back.h"

#include <algorithm>
#include <tuple>

namespace mo {

std::vector<std::string> ways_back(const std::vector<Move>& moves, const std::string& stable) {
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

}  // namespace mo
