#include "reconcilers/common/way_back.h"

#include <algorithm>

namespace mo {

std::string version_before(const std::string& stable, const std::vector<Ref<api::ModelRollout>>& rollouts) {
  std::vector<Ref<api::ModelRollout>> promotions;
  for (const auto& rollout : rollouts)
    if (rollout->status.phase == "Succeeded" && rollout->status.finished) promotions.push_back(rollout);
  std::sort(promotions.begin(), promotions.end(), [](const auto& a, const auto& b) {
    return std::tie(*a->status.finished, a->meta.key.name) < std::tie(*b->status.finished, b->meta.key.name);
  });
  std::vector<std::string> served;  // the way here, without detours
  const auto serve = [&](const std::string& version) {
    const auto earlier = std::find(served.begin(), served.end(), version);
    if (earlier == served.end())
      served.push_back(version);
    else
      served.erase(std::next(earlier), served.end());
  };
  for (const auto& promotion : promotions) {
    if (!promotion->status.from_version.empty()) serve(promotion->status.from_version);
    serve(promotion->version);
  }
  const auto now = std::find(served.begin(), served.end(), stable);
  return now == served.begin() || now == served.end() ? "" : *std::prev(now);
}

}  // namespace mo
