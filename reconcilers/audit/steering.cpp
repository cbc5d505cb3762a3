#include "reconcilers/audit/steering.h"

#include <algorithm>
#include <set>

#include "operator/api/statuses.h"

namespace mo::audit {
namespace {

auto same_as(const api::CountedSteering& one) {
  return [&](const api::CountedSteering& c) { return c.actor == one.actor && c.action == one.action && c.reason == one.reason; };
}

}  // namespace

bool has_room(const api::AuditedRollout& told, const api::CountedSteering& one) {
  if (std::any_of(told.steering.begin(), told.steering.end(), same_as(one))) return true;
  return told.steering.size() < kMostCounted &&
         to_json(told.steering).dump(-1, ' ', false, Json::error_handler_t::replace).size() < kMostCountedBytes;
}

void count(api::AuditedRollout& told, api::CountedSteering one) {
  if (!told.steering_since) told.steering_since = one.last;
  const auto known = std::find_if(told.steering.begin(), told.steering.end(), same_as(one));
  if (known == told.steering.end()) return told.steering.push_back(std::move(one));
  known->count += one.count;
  known->last = std::max(known->last, one.last);
}

std::string what_was_counted(const api::AuditedRollout& told) {
  int64_t paused = 0, resumed = 0;
  for (const api::CountedSteering& one : told.steering) (one.action == "Paused" ? paused : resumed) += one.count;
  return "paused " + std::to_string(paused) + " times and resumed " + std::to_string(resumed) + " times since " +
         (told.steering_since ? format_time(*told.steering_since) : "the last record") + ": only counted, after " +
         std::to_string(kToggles) + " with their own records";
}

std::string who_was_counted(const api::AuditedRollout& told) {
  std::set<std::string> actors;
  std::string all;
  for (const api::CountedSteering& one : told.steering)
    if (actors.insert(one.actor).second) all += (all.empty() ? "" : ", ") + one.actor;
  return all;
}

}  // namespace mo::audit
