// Whoever pauses and resumes a rollout all day makes no records without end: the first kToggles of a rollout have one each, those
// after them are counted in status.audit by who, what and why, in the write that decides, and told by one record `Steered`:
// before the next record of that rollout, so that nothing follows from a word that the trail does not tell, once an hour, or when
// more people take part than are counted apart. Dropping or refusing them would hide who did it, or keep somebody from pausing.
// For this folder alone. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/api/audit.h"
#include "operator/json/json.h"

namespace mo::audit {

inline constexpr int kToggles = 20;
inline constexpr size_t kMostCounted = 15, kMostCountedBytes = 4000;  // a record that is too large says nothing
inline constexpr Duration kCounting = std::chrono::hours(1);

bool has_room(const api::AuditedRollout& told, const api::CountedSteering& one);
void count(api::AuditedRollout& told, api::CountedSteering one);

// The record's why, actors and evidence.
std::string what_was_counted(const api::AuditedRollout& told);
std::string who_was_counted(const api::AuditedRollout& told);

}  // namespace mo::audit
