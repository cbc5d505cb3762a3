#include "plugin/monitor_changes.h"

#include <algorithm>

#include "reconcilers/monitors/sets.h"

namespace mo::plugin {
namespace {

std::string says(const api::Monitor& m) {
  std::string actions = "Alert";
  for (const auto& [does, word] : {std::pair(m.retrain, "Retrain"), std::pair(m.roll_back, "Rollback"), std::pair(m.hold, "Hold")})
    if (does) actions += std::string(", ") + word;
  return "monitor " + m.figure.name + " of " + (m.policy.empty() ? m.set : "ModelPolicy/" + m.policy) + " (" + actions + ")";
}

const api::Monitor* named(const std::vector<api::Monitor>& monitors, const std::string& name) {
  const auto found = std::find_if(monitors.begin(), monitors.end(), [&](const auto& m) { return m.figure.name == name; });
  return found == monitors.end() ? nullptr : &*found;
}

}  // namespace

std::vector<std::string> monitor_changes(const Observed& before, const Observed& after) {
  const monitors::Watched old = before.model ? monitors::watched_of(before) : monitors::Watched{}, now = monitors::watched_of(after);
  const auto is_own = [](const api::Monitor& m) { return m.set.empty() && m.policy.empty(); };
  std::vector<std::string> lines;
  for (const api::Monitor& m : now.monitors) {
    const api::Monitor* was = named(old.monitors, m.figure.name);
    if (!is_own(m) && (!was || *was != m)) lines.push_back((was ? "monitor changes: " : "monitor added: ") + says(m));
  }
  for (const api::Monitor& m : old.monitors)
    if (!is_own(m) && !named(now.monitors, m.figure.name)) lines.push_back("monitor removed: " + says(m));
  if (!now.problem.empty() && now.problem != old.problem) lines.push_back("! not Healthy: " + now.problem);
  return lines;
}

}  // namespace mo::plugin
