#include "operator/store/refusals.h"

namespace mo {

std::vector<Refusal> Refusals::of(const ObjectKey& model) const {
  std::lock_guard lock(mutex_);
  std::vector<Refusal> found;
  if (auto it = refusals_.find(model); it != refusals_.end())
    for (const auto& [target, refusal] : it->second) found.push_back(refusal);
  return found;
}

bool Refusals::record(const ObjectKey& model, Refusal refusal) {
  std::lock_guard lock(mutex_);
  auto& of_model = refusals_[model];
  auto it = of_model.find(refusal.target);
  if (it == of_model.end()) {
    of_model.emplace(refusal.target, std::move(refusal));
    return true;
  }
  Refusal& held = it->second;
  if (held.error.kind == refusal.error.kind && held.error.message == refusal.error.message &&
      held.body_hash == refusal.body_hash)
    return false;
  held = std::move(refusal);
  return true;
}

bool Refusals::clear(const ObjectKey& model, const ObjectRef& target, bool applied) {
  std::lock_guard lock(mutex_);
  auto of_model = refusals_.find(model);
  if (of_model == refusals_.end()) return false;
  auto refusal = of_model->second.find(target);
  if (refusal == of_model->second.end() || (!applied && !refusal->second.body_hash.empty())) return false;
  of_model->second.erase(refusal);
  if (of_model->second.empty()) refusals_.erase(of_model);
  return true;
}

void Refusals::forget(const ObjectKey& model) {
  std::lock_guard lock(mutex_);
  refusals_.erase(model);
}

}  // namespace mo
