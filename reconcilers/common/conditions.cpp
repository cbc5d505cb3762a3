#include "reconcilers/common/conditions.h"

#include <algorithm>

namespace mo {

void Conditions::set(const std::string& type, const Verdict& verdict) {
  api::Condition c{type, verdict.is ? "True" : "False", verdict.reason, verdict.message, now_, generation_};
  auto old =
      std::find_if(before_.begin(), before_.end(), [&](const api::Condition& b) { return b.type == type; });
  if (old != before_.end() && old->status == c.status) c.last_transition = old->last_transition;
  after_.push_back(std::move(c));
}

}  // namespace mo
