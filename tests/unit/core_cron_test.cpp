#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "operator/core/cron.h"

using namespace mo;

namespace {

// The next `n` runs after `after`, in UTC.
std::vector<std::string> runs(const char* expression, const char* zone, const char* after, int n) {
  const auto schedule = CronSchedule::parse(expression, zone);
  INFO(expression);
  REQUIRE(schedule);
  std::vector<std::string> found;
  auto t = parse_time(after);
  for (int i = 0; i < n; ++i) {
    t = schedule->next(*t);
    if (!t) break;
    found.push_back(format_time(*t));
  }
  return found;
}

using Times = std::vector<std::string>;

}  // namespace

TEST_CASE("cron: the next time is strictly later", "[core]") {
  CHECK(runs("0 2 * * *", "UTC", "2026-11-22T02:00:00Z", 1) == Times{"2026-11-23T02:00:00Z"});
  CHECK(runs("0 2 * * *", "UTC", "2026-11-22T01:59:59.999Z", 1) == Times{"2026-11-22T02:00:00Z"});
  CHECK(runs("*/15 * * * *", "UTC", "2026-12-31T23:44:59Z", 2) ==
        Times{"2026-12-31T23:45:00Z", "2027-01-01T00:00:00Z"});
  CHECK(runs("5-59/20 8,20 * * *", "", "2026-11-22T08:25:00Z", 3) ==
        Times{"2026-11-22T08:45:00Z", "2026-11-22T20:05:00Z", "2026-11-22T20:25:00Z"});
  CHECK(runs("3/20 0 * * *", "UTC", "2026-11-22T00:00:00Z", 3) ==
        Times{"2026-11-22T00:03:00Z", "2026-11-22T00:23:00Z", "2026-11-22T00:43:00Z"});
}

TEST_CASE("cron: either day field matches when both are restricted", "[core]") {
  // The 13th, and Fridays.
  CHECK(runs("0 0 13 * FRI", "UTC", "2026-11-07T00:00:00Z", 3) ==
        Times{"2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z"});
  CHECK(runs("0 0 ? jan-MAR,dec mon", "UTC", "2026-11-22T00:00:00Z", 1) == Times{"2026-12-07T00:00:00Z"});
  CHECK(runs("0 0 * * 7", "UTC", "2026-11-22T12:00:00Z", 1) == Times{"2026-11-29T00:00:00Z"});
  CHECK(runs("0 0 * * 5-7", "UTC", "2026-11-25T12:00:00Z", 3) ==
        Times{"2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z"});
  CHECK(runs("@weekly", "UTC", "2026-11-22T12:00:00Z", 1) == Times{"2026-11-29T00:00:00Z"});
  CHECK(runs("@yearly", "UTC", "2026-11-22T12:00:00Z", 1) == Times{"2027-01-01T00:00:00Z"});
}

TEST_CASE("cron: a day that hardly comes and one that never does", "[core]") {
  CHECK(runs("0 0 29 2 *", "UTC", "2024-02-29T00:00:00Z", 1) == Times{"2028-02-29T00:00:00Z"});
  CHECK(runs("0 0 30 2 *", "UTC", "2026-01-01T00:00:00Z", 1).empty());
  CHECK(runs("0 0 30 2 *", "Europe/Berlin", "2026-01-01T00:00:00Z", 1).empty());
}

TEST_CASE("cron: the hour that spring skips does not run that day", "[core]") {
  CHECK(runs("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3) ==
        Times{"2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"});
  CHECK(runs("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", 1) == Times{"2026-03-09T06:30:00Z"});
  // 01:30 EST is followed by 03:00 EDT.
  CHECK(runs("*/30 * * * *", "America/New_York", "2026-03-08T06:00:00Z", 2) ==
        Times{"2026-03-08T06:30:00Z", "2026-03-08T07:00:00Z"});
  CHECK(runs("0 3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 1) == Times{"2026-03-29T01:00:00Z"});
}

// A nightly retraining at half past two must not run twice in the night that has two of them.
TEST_CASE("cron: the hour that autumn repeats runs once unless the hour is a star", "[core]") {
  CHECK(runs("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2) ==
        Times{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"});
  CHECK(runs("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2) ==
        Times{"2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"});
  CHECK(runs("30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 3) ==
        Times{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"});
  // Asked in the middle of the repeated hour, after a restart for instance.
  CHECK(runs("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1) == Times{"2026-10-26T01:30:00Z"});
  CHECK(runs("0 3 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", 1) == Times{"2026-10-25T02:00:00Z"});
  CHECK(runs("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z", 1) ==
        Times{"2026-04-04T14:45:00Z"});  // half an hour repeats
}

TEST_CASE("cron: what cannot be read is an error with a sentence", "[core]") {
  for (const char* expression : {"",
                                 "* * * *",
                                 "* * * * * *",
                                 "60 * * * *",
                                 "* 24 * * *",
                                 "* * 0 * *",
                                 "* * 32 * *",
                                 "* * * 13 *",
                                 "* * * * 8",
                                 "*/0 * * * *",
                                 "5-1 * * * *",
                                 "a * * * *",
                                 "1,,2 * * * *",
                                 "-1 * * * *",
                                 "1- * * * *",
                                 "* * * foo *",
                                 "@every 5m",
                                 "@never",
                                 "TZ=UTC * * * * *",
                                 "99999999999 * * * *",
                                 "*/ * * * *",
                                 "1-2-3 * * * *",
                                 "1.5 * * * *"}) {
    INFO(expression);
    const auto schedule = CronSchedule::parse(expression);
    REQUIRE_FALSE(schedule);
    CHECK(schedule.error().kind == ErrorKind::Invalid);
    CHECK(schedule.error().message.find("schedule") != std::string::npos);
  }
  for (const char* zone : {"Mars/Olympus", "../../etc/passwd", "europe/berlin", "Europe", "UTC "}) {
    const auto schedule = CronSchedule::parse("* * * * *", zone);
    INFO(zone);
    REQUIRE_FALSE(schedule);
    CHECK(schedule.error().message.find("time zone") != std::string::npos);
  }
}

// Two thousand random schedules as another implementation reads them; cron_oracle.py wrote the table.
TEST_CASE("cron: agrees with croniter", "[core]") {
  std::ifstream table(MO_SOURCE_DIR "/tests/unit/cron_oracle.tsv");
  int rows = 0, agreed = 0;
  for (std::string line; std::getline(table, line); ++rows) {
    std::istringstream columns(line);
    std::string expression, zone, after, run;
    std::getline(columns, expression, '\t');
    std::getline(columns, zone, '\t');
    std::getline(columns, after, '\t');
    Times wanted;
    while (std::getline(columns, run, '\t')) wanted.push_back(run);
    const Times found =
        runs(expression.c_str(), zone.c_str(), after.c_str(), static_cast<int>(wanted.size()));
    if (found == wanted) {
      ++agreed;
    } else {
      INFO(line);
      CHECK(found == wanted);
    }
  }
  CHECK(rows == 2000);
  CHECK(agreed == rows);
}
