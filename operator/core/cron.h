// Cron schedules with time zones.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "operator/core/result.h"
#include "operator/core/time.h"

namespace mo {

// Five fields (minute hour day-of-month month day-of-week) as Kubernetes' CronJob reads them (robfig/cron, standard parser):
// `*`, lists, ranges, steps, names (JAN, MON), 7 is not Sunday there but is accepted here, and the macros @hourly, @daily, @midnight,
// @weekly, @monthly, @yearly, @annually. If both day fields are restricted a day matches when either does.
class CronSchedule {
 public:
  // `time_zone` is an IANA name ("UTC", "Europe/Berlin"). Errors are ErrorKind::Invalid with a sentence for people.
  static Result<CronSchedule> parse(std::string_view expression, std::string_view time_zone = "UTC");

  // The first time strictly after `after`; nothing if there is none within five years ("0 0 30 2 *").
  // A local time that daylight saving skips does not run that day; one that it repeats runs once, at the first of the two
  // (wildcard hours run in both).
  std::optional<TimePoint> next(TimePoint after) const;

 private:
  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;
  std::bitset<13> months_;
  std::bitset<7> weekdays_;
  bool any_day_ = false;
  bool any_weekday_ = false;
  bool any_hour_ = false;
  std::string time_zone_;
};

}  // namespace mo
