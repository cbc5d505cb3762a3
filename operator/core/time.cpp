#include "operator/core/time.h"

#include <cstdio>

#include "operator/core/ascii.h"

namespace mo {
namespace {

namespace chrono = std::chrono;

__extension__ typedef __int128 Wide;

constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr Wide kMaxNanos = static_cast<Wide>(87600) * 3600 * 1'000'000'000;  // ten years

constexpr TimePoint kFirst = chrono::sys_days(chrono::year(0) / 1 / 1);
constexpr TimePoint kEnd = chrono::sys_days(chrono::year(10000) / 1 / 1);

// Takes exactly `n` digits from the front of `text`.
std::optional<int> take_digits(std::string_view& text, int n) {
  if (text.size() < static_cast<size_t>(n)) return std::nullopt;
  int value = 0;
  for (int i = 0; i < n; ++i) {
    if (!is_digit(text[i])) return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(n);
  return value;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text[0] != c) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<chrono::sys_days> take_date(std::string_view& text) {
  const auto year = take_digits(text, 4);
  if (!year || !take(text, '-')) return std::nullopt;
  const auto month = take_digits(text, 2);
  if (!month || !take(text, '-')) return std::nullopt;
  const auto day = take_digits(text, 2);
  if (!day) return std::nullopt;
  const chrono::year_month_day date{chrono::year(*year), chrono::month(*month), chrono::day(*day)};
  if (!date.ok()) return std::nullopt;
  return chrono::sys_days(date);
}

std::optional<chrono::milliseconds> take_clock(std::string_view& text) {
  const auto hour = take_digits(text, 2);
  if (!hour || *hour > 23 || !take(text, ':')) return std::nullopt;
  const auto minute = take_digits(text, 2);
  if (!minute || *minute > 59 || !take(text, ':')) return std::nullopt;
  const auto second = take_digits(text, 2);
  if (!second || *second > 59) return std::nullopt;
  int millis = 0;
  if (take(text, '.')) {
    if (text.empty() || !is_digit(text[0])) return std::nullopt;
    for (int unit = 100; !text.empty() && is_digit(text[0]); unit /= 10, text.remove_prefix(1))
      millis += (text[0] - '0') * unit;
  }
  return chrono::hours(*hour) + chrono::minutes(*minute) + chrono::seconds(*second) +
         chrono::milliseconds(millis);
}

std::optional<chrono::minutes> take_offset(std::string_view& text) {
  if (take(text, 'Z') || take(text, 'z')) return chrono::minutes(0);
  const bool west = take(text, '-');
  if (!west && !take(text, '+')) return std::nullopt;
  const auto hours = take_digits(text, 2);
  if (!hours || *hours > 23 || !take(text, ':')) return std::nullopt;
  const auto minutes = take_digits(text, 2);
  if (!minutes || *minutes > 59) return std::nullopt;
  const chrono::minutes offset(*hours * 60 + *minutes);
  return west ? -offset : offset;
}

std::string format(TimePoint t, bool micros) {
  const auto day = chrono::floor<chrono::days>(t);
  const chrono::year_month_day date(day);
  const chrono::hh_mm_ss clock(t - day);
  char text[64];
  const int n =
      std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                    static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                    static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                    static_cast<int>(clock.seconds().count()));
  if (micros) {
    std::snprintf(text + n, sizeof text - n, ".%03d000Z", static_cast<int>(clock.subseconds().count()));
  } else {
    std::snprintf(text + n, sizeof text - n, "Z");
  }
  return text;
}

// Nanoseconds in one unit at the front of `text`, longest name first ("ms" before "m").
std::optional<int64_t> take_unit(std::string_view& text) {
  static constexpr struct {
    std::string_view name;
    int64_t nanos;
  } kUnits[] = {{"ns", 1},         {"us", 1'000},        {"\u00b5s", 1'000},    {"\u03bcs", 1'000},
                {"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}, {"h", 3'600'000'000'000}};
  for (const auto& unit : kUnits) {
    if (text.substr(0, unit.name.size()) == unit.name) {
      text.remove_prefix(unit.name.size());
      return unit.nanos;
    }
  }
  return std::nullopt;
}

// One "1.5h" from the front of `text`, in nanoseconds.
std::optional<Wide> take_span(std::string_view& text) {
  Wide whole = 0, fraction = 0, divisor = 1;
  bool any = false;
  for (; !text.empty() && is_digit(text[0]); text.remove_prefix(1), any = true) {
    whole = whole * 10 + (text[0] - '0');
    if (whole > kMaxNanos) return std::nullopt;
  }
  if (take(text, '.')) {
    for (; !text.empty() && is_digit(text[0]); text.remove_prefix(1), any = true) {
      if (divisor < 1'000'000'000'000'000) fraction = fraction * 10 + (text[0] - '0'), divisor *= 10;
    }
  }
  const auto unit = any ? take_unit(text) : std::nullopt;
  if (!unit) return std::nullopt;
  return whole * *unit + fraction * *unit / divisor;
}

}  // namespace

std::string format_time(TimePoint t) { return format(t, false); }
std::string format_micro_time(TimePoint t) { return format(t, true); }
std::string format_exact_time(TimePoint t) { return format(t, t != std::chrono::floor<std::chrono::seconds>(t)); }

std::optional<TimePoint> parse_time(std::string_view text) {
  const auto date = take_date(text);
  if (!date || (!take(text, 'T') && !take(text, 't'))) return std::nullopt;
  const auto clock = take_clock(text);
  if (!clock) return std::nullopt;
  const auto offset = take_offset(text);
  if (!offset || !text.empty()) return std::nullopt;
  const TimePoint time = *date + *clock - *offset;
  // The offset may lead out of the years that have four digits; such a time could not be written again.
  if (time < kFirst || time >= kEnd) return std::nullopt;
  return time;
}

std::optional<Duration> parse_duration(std::string_view text) {
  if (text == "0") return Duration(0);
  if (text.empty()) return std::nullopt;
  Wide nanos = 0;
  while (!text.empty()) {
    const auto span = take_span(text);
    if (!span || (nanos += *span) > kMaxNanos) return std::nullopt;
  }
  // Rounded up: an interval of "1us" must not become an interval of nothing.
  return Duration(static_cast<int64_t>((nanos + kNanosPerMilli - 1) / kNanosPerMilli));
}

std::string format_duration(Duration d) {
  if (d.count() == 0) return "0s";
  std::string text = d.count() < 0 ? "-" : "";
  const chrono::hh_mm_ss parts(d);
  const int64_t hours = parts.hours().count(), minutes = parts.minutes().count(),
                seconds = parts.seconds().count();
  const int64_t millis = parts.subseconds().count();
  if (hours != 0) text += std::to_string(hours) + "h";
  if (minutes != 0) text += std::to_string(minutes) + "m";
  if (seconds == 0) {
    if (millis != 0) text += std::to_string(millis) + "ms";
    return text;
  }
  text += std::to_string(seconds);
  if (millis != 0) {
    std::string fraction = std::to_string(1000 + millis).substr(1);
    while (fraction.back() == '0') fraction.pop_back();
    text += "." + fraction;
  }
  return text + "s";
}

}  // namespace mo
