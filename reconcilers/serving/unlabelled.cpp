#include "reconcilers/serving/unlabelled.h"

#include <algorithm>
#include <set>

#include "reconcilers/common/side.h"

namespace mo::serving {
namespace {

bool others_of_its_version(const Observed& o, const std::string& side, const std::string& candidate) {
  if (!candidate.empty() && candidate != side && version_of(candidate) == side) return true;
  return std::any_of(o.pods.begin(), o.pods.end(), [&](const auto& pod) { return pod->version == side && !pod->revision.empty(); });
}

// What they were told apart by before: it holds although there are none of them now.
std::string selected_now(const Observed& o, const std::string& side) {
  const auto service = o.services.find(o.key.name);
  if (service == o.services.end() || side_of(service->second.object->selector) != side) return "";
  const auto& selector = service->second.object->selector;
  const auto known = selector.find(api::kLabelTemplateHash);
  return known == selector.end() ? "" : known->second;
}

}  // namespace

std::string template_of_unlabelled(const Observed& o, const std::string& side, const std::string& candidate) {
  if (side.empty() || !revision_of(side).empty() || !others_of_its_version(o, side, candidate)) return "";
  std::set<std::string> templates;
  for (const auto& pod : o.pods)
    if (side_of(*pod) == side && !pod->ended && !pod->template_hash.empty()) templates.insert(pod->template_hash);
  return templates.size() == 1 ? *templates.begin() : selected_now(o, side);
}

}  // namespace mo::serving
