#include "reconcilers/governance/freeze.h"

#include <algorithm>

#include "operator/core/cron.h"

namespace mo::governance {
namespace {

// A schedule that comes again before its duration is over stays open; so many times are followed to say until when.
constexpr int kFollowed = 1000;

}  // namespace

Result<std::optional<TimePoint>> open_until(const api::FreezeWindow& window, TimePoint now) {
  if (window.cron.empty()) {
    const bool begun = !window.from || *window.from <= now;
    const bool over = window.to && *window.to <= now;
    return begun && !over && window.to ? window.to : std::optional<TimePoint>();
  }
  const auto schedule = CronSchedule::parse(window.cron, window.time_zone);
  if (!schedule) return fail(schedule.error());
  std::optional<TimePoint> until;
  std::optional<TimePoint> begins = schedule->next(now - window.duration);
  for (int i = 0; begins && *begins <= (until ? *until : now) && i < kFollowed; ++i) {
    until = *begins + window.duration;
    begins = schedule->next(*begins);
  }
  return until;
}

std::optional<TimePoint> opens_next(const api::FreezeWindow& window, TimePoint now) {
  if (window.cron.empty()) return window.from && *window.from > now ? window.from : std::nullopt;
  const auto schedule = CronSchedule::parse(window.cron, window.time_zone);
  return schedule ? schedule->next(now) : std::nullopt;
}

Freeze freeze_of(const std::vector<Ref<api::ModelPolicy>>& policies, TimePoint now) {
  Freeze freeze;
  std::string names;
  for (const auto& policy : policies) {
    if (!policy->enforced) continue;
    for (const api::FreezeWindow& window : policy->freeze) {
      const std::string name = window.name + " of ModelPolicy " + policy->meta.key.name;
      const auto until = open_until(window, now);
      if (!until) {
        freeze.problem = freeze.why =
            "freeze window " + name + " cannot be read, so rollouts do not advance: " + until.error().message;
        freeze.until.reset();
        return freeze;
      }
      if (!*until) continue;
      names += (names.empty() ? "" : " and ") + name;
      if (!freeze.until || *freeze.until < **until) freeze.until = *until;
    }
  }
  if (!names.empty())
    freeze.why = "frozen until " + format_time(*freeze.until) + " by " + names + "; abort, pause and rollback still work";
  return freeze;
}

}  // namespace mo::governance
