#include "reconcilers/rollout/steps.h"

#include <algorithm>
#include <utility>

namespace mo::rollout {
namespace {

int count(const api::RolloutPolicy& policy) { return static_cast<int>(policy.steps.size()); }

template <class Says>
const api::Step* last_step(const api::RolloutPolicy& policy, int index, Says says) {
  if (index > count(policy)) return nullptr;
  for (int i = index; i >= 1; --i)
    if (says(policy.steps[i - 1])) return &policy.steps[i - 1];
  return nullptr;
}

}  // namespace

std::string describe(const api::Step& step) {
  if (step.weight) return "weight " + std::to_string(*step.weight);
  if (step.pause) return step.pause->duration ? "pause " + format_duration(*step.pause->duration) : "pause";
  const char* before = " ";
  if (step.match) {
    std::string text = "match";
    for (const api::HeaderMatch& header : step.match->headers)
      text += std::exchange(before, ", ") + header.name + (header.regular_expression ? ": ~" : ": ") + header.value;
    return text;
  }
  if (step.candidate_replicas) return "candidateReplicas " + std::to_string(*step.candidate_replicas);
  std::string text = "gates";
  if (!step.background.empty()) text = "watch";
  for (const auto* names : {&step.gates, &step.background})
    for (const std::string& gate : *names) text += std::exchange(before, ", ") + gate;
  return text;
}

std::vector<std::string> watched_at(const api::RolloutPolicy& policy, int index) {
  std::vector<std::string> names;
  for (int i = 1; i < std::min(index, count(policy) + 1); ++i)
    for (const std::string& name : policy.steps[i - 1].background) names.push_back(name);
  if (index <= count(policy))
    std::erase_if(names, [&own = policy.steps[index - 1].gates](const std::string& name) {
      return std::find(own.begin(), own.end(), name) != own.end();
    });
  return names;
}

std::optional<int> candidate_replicas_at(const api::RolloutPolicy& policy, int index) {
  const api::Step* step = last_step(policy, index, [](const api::Step& s) { return s.candidate_replicas.has_value(); });
  return step ? step->candidate_replicas : std::nullopt;
}

std::vector<api::HeaderMatch> chosen_at(const api::RolloutPolicy& policy, int index) {
  const api::Step* step = last_step(policy, index, [](const api::Step& s) { return s.match.has_value(); });
  return step ? step->match->headers : std::vector<api::HeaderMatch>{};
}

int next_weight(const api::RolloutPolicy& policy, int index) {
  using Strategy = api::RolloutPolicy::Strategy;
  if (policy.strategy == Strategy::BlueGreen || policy.strategy == Strategy::Shadow) return 100;
  for (int i = index; i <= count(policy); ++i)
    if (policy.steps[i - 1].weight) return *policy.steps[i - 1].weight;
  return 100;
}

bool needs_pods(const api::RolloutPolicy& policy, const std::vector<std::string>& gates) {
  return std::any_of(gates.begin(), gates.end(), [&](const std::string& name) {
    const api::Gate* gate = policy.gate(name);
    return gate && !gate->version_metric;
  });
}

}  // namespace mo::rollout
