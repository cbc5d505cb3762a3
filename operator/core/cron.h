// Cron schedules with time zones.
#pragma once

#include <bitset>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "operator/core/result.h"
#include "operator/core/time.h"

namespace date {
class time_zone;
}

namespace mo {

// Five fields (minute hour day-of-month month day-of-week) as Kubernetes' CronJob reads them (robfig/cron,
// standard parser): `*` and
// `?`, lists, ranges, steps, names (JAN, MON), and the macros @hourly, @daily, @midnight, @weekly, @monthly,
// @yearly, @annually. If both day fields are restricted (`*/2` is a restriction, `*` is not) a day matches
// when either does. Beyond robfig, 7 is Sunday too. Not accepted: @every, TZ= prefixes, seconds. Immutable
// after parsing, hence thread-safe. Zones come from the system's zoneinfo, never from a network; UTC needs
// none.
class CronSchedule {
 public:
  // `time_zone` is an IANA name ("UTC", "Europe/Berlin"); empty is UTC. Errors are ErrorKind::Invalid with a
  // sentence for people.
  static Result<CronSchedule> parse(std::string_view expression, std::string_view time_zone = "UTC");

  // The first time strictly after `after`; nothing if there is none within five years ("0 0 30 2 *").
  // A local time that daylight saving skips does not run that day; one that it repeats runs once, at the
  // first of the two, where robfig would run it twice. Only when the hour field is `*` do both run.
  std::optional<TimePoint> next(TimePoint after) const;

 private:
  using LocalMinutes = std::chrono::minutes;  // since 1970-01-01 00:00 on the clock on the wall
  bool day_matches(std::chrono::year_month_day day) const;
  // The first match that is not before `from` and before `limit`.
  std::optional<LocalMinutes> next_local(LocalMinutes from, LocalMinutes limit) const;

  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;
  std::bitset<13> months_;
  std::bitset<7> weekdays_;
  bool any_day_ = false;
  bool any_weekday_ = false;
  bool any_hour_ = false;
  const date::time_zone* zone_ =
      nullptr;  // null: UTC. Owned by the date library, lives as long as the program
};

}  // namespace mo
