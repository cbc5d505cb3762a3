// The small languages that people write: decimals, durations, times, cron schedules, resource versions.
// Input: one value a line; all readers read each, and a schedule's time zone is the line after it.
#include "operator/core/cron.h"
#include "operator/core/decimal.h"
#include "operator/core/ids.h"
#include "operator/core/time.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace mo;

void check_decimals(const std::vector<Decimal>& numbers) {
  for (const Decimal& a : numbers) {
    MUST_SHOW(Decimal::parse(a.to_string()) == a, a.to_string());
    MUST(- -a == a);
    for (const Decimal& b : numbers) {
      const std::string seen = a.to_string() + " and " + b.to_string();
      MUST_SHOW((a <=> b) == (Decimal() <=> (b - a)), seen);
      MUST_SHOW((a == b) == ((a <=> b) == 0), seen);
      MUST_SHOW(a - b == -(b - a), seen);
      MUST_SHOW((a <=> b) == (-b <=> -a), seen);
    }
  }
}

void check_time(std::string_view text) {
  const auto time = parse_time(text);
  if (!time) return;
  MUST_SHOW(parse_time(format_micro_time(*time)) == time, format_micro_time(*time));
  const auto second = std::chrono::floor<std::chrono::seconds>(*time);
  MUST_SHOW(parse_time(format_time(*time)) == TimePoint(second), format_time(*time));
}

void check_duration(std::string_view text) {
  const auto duration = parse_duration(text);
  if (!duration) return;
  MUST(duration->count() >= 0 && *duration <= std::chrono::hours(87600));
  MUST_SHOW(parse_duration(format_duration(*duration)) == duration, format_duration(*duration));
}

void check_schedule(std::string_view text, std::string_view zone) {
  const auto schedule = CronSchedule::parse(text, zone);
  if (!schedule) return;
  // Around changes to summer time and back, in a leap year.
  for (const char* start : {"2024-02-28T23:59:59Z", "2026-03-29T00:30:00Z", "2026-10-25T00:59:30Z"}) {
    TimePoint at = *parse_time(start);
    for (int i = 0; i < 4; ++i) {
      const auto next = schedule->next(at);
      if (!next) break;
      MUST_SHOW(*next > at && *next - at <= std::chrono::days(5 * 366), format_time(*next));
      // Whoever asks in between, or a moment before, is told the same.
      MUST_SHOW(schedule->next(at + (*next - at) / 2) == next, format_time(*next));
      MUST_SHOW(schedule->next(*next - Duration(1)) == next, format_time(*next));
      at = *next;
    }
  }
}

void check_order(const std::vector<std::string_view>& lines) {
  for (const auto a : lines) {
    MUST(!rv_less(std::string(a), std::string(a)));
    for (const auto b : lines)
      MUST(rv_less(std::string(a), std::string(b)) + rv_less(std::string(b), std::string(a)) == (a != b));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto lines = fuzz::pieces(fuzz::view(data, size));
  if (lines.size() > 8) lines.resize(8);
  std::vector<Decimal> numbers;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (const auto number = Decimal::parse(lines[i])) numbers.push_back(*number);
    check_time(lines[i]);
    check_duration(lines[i]);
    check_schedule(lines[i], i + 1 < lines.size() ? lines[i + 1] : "UTC");
  }
  check_decimals(numbers);
  check_order(lines);
  return 0;
}
