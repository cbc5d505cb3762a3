#include "reconcilers/common/refused.h"

#include <algorithm>

namespace mo {

bool repeats(const Refusal& refusal, const std::vector<Action>& actions) {
  return std::any_of(actions.begin(), actions.end(), [&](const Action& action) {
    if (const auto* apply = std::get_if<Apply>(&action)) return apply->target == refusal.target && apply->hash == refusal.body_hash;
    if (const auto* scale = std::get_if<Scale>(&action)) return scale->target == refusal.target;
    const auto* removal = std::get_if<Delete>(&action);
    return removal && removal->target == refusal.target && refusal.body_hash.empty();
  });
}

bool repeats_any(const std::vector<Refusal>& refusals, const std::vector<Action>& actions) {
  return std::any_of(refusals.begin(), refusals.end(), [&](const Refusal& refusal) { return repeats(refusal, actions); });
}

}  // namespace mo
