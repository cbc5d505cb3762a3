#include "operator/core/cron.h"

#include <date/tz.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <span>
#include <vector>

#include "operator/core/text.h"

// The date library can be built to download the zone data. This must never be such a build.
static_assert(USE_OS_TZDB && !AUTO_DOWNLOAD, "time zones must come from the system");

namespace mo {
namespace {

namespace chrono = std::chrono;

constexpr chrono::days kHorizon{5 * 366};

struct FieldRule {
  const char* name;
  int min, max;
  std::span<const std::string_view> names;  // names[i] means i + first_name
  int first_name;
};

constexpr std::array<std::string_view, 12> kMonths{"jan", "feb", "mar", "apr", "may", "jun",
                                                   "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdays{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr FieldRule kMinute{"minute", 0, 59, {}, 0};
constexpr FieldRule kHour{"hour", 0, 23, {}, 0};
constexpr FieldRule kDay{"day-of-month", 1, 31, {}, 0};
constexpr FieldRule kMonth{"month", 1, 12, kMonths, 1};
constexpr FieldRule kWeekday{"day-of-week", 0, 6, kWeekdays, 0};

struct Field {
  uint64_t bits = 0;
  bool any = false;
};

std::string quoted(std::string_view text) { return "\"" + whole_characters(text, 100) + "\""; }

tl::unexpected<Error> bad_field(const FieldRule& rule, std::string_view text, const std::string& why) {
  return fail(ErrorKind::Invalid,
              std::string("the ") + rule.name + " field " + quoted(text) + " of the schedule " + why);
}

std::string lowered(std::string_view text) {
  std::string low(text);
  for (char& c : low) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return low;
}

std::optional<int> parse_number(std::string_view text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  int value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

std::optional<int> parse_value(std::string_view text, const FieldRule& rule) {
  const std::string low = lowered(text);
  for (size_t i = 0; i < rule.names.size(); ++i) {
    if (low == rule.names[i]) return static_cast<int>(i) + rule.first_name;
  }
  return parse_number(text);
}

// Cuts `text` at the first `separator`; nothing after it if there is none.
std::pair<std::string_view, std::optional<std::string_view>> cut(std::string_view text, char separator) {
  const size_t at = text.find(separator);
  if (at == std::string_view::npos) return {text, std::nullopt};
  return {text.substr(0, at), text.substr(at + 1)};
}

// One entry of a list: "*", "5", "1-5", "*/15", "3/10" (from 3 to the end), "MON-FRI/2".
Result<Field> parse_entry(std::string_view text, const FieldRule& rule) {
  const auto [range, step_text] = cut(text, '/');
  const bool star = range == "*" || range == "?";
  const auto [low_text, high_text] = cut(range, '-');
  // 7 is a Sunday, so that "5-7" is Friday to Sunday.
  const int highest = &rule == &kWeekday ? 7 : rule.max;
  int low = rule.min, high = rule.max, step = 1;
  if (!star) {
    const auto from = parse_value(low_text, rule);
    const auto to = high_text ? parse_value(*high_text, rule) : from;
    if (!from || !to) return bad_field(rule, text, "is not a number, a range or a name");
    low = *from;
    high = !high_text && step_text ? std::max(rule.max, low) : *to;
  }
  if (step_text) {
    const auto parsed = parse_number(*step_text);
    if (!parsed || *parsed == 0) return bad_field(rule, text, "has a step that is not a positive number");
    step = *parsed;
  }
  if (low < rule.min || high > highest || low > highest) {
    return bad_field(rule, text,
                     "is not between " + std::to_string(rule.min) + " and " + std::to_string(rule.max));
  }
  if (low > high) return bad_field(rule, text, "is a range that ends before it begins");
  Field field{0, star && step == 1};
  for (int value = low; value <= high; value += step)
    field.bits |= uint64_t{1} << (value > rule.max ? 0 : value);
  return field;
}

Result<Field> parse_field(std::string_view text, const FieldRule& rule) {
  Field field;
  std::optional<std::string_view> rest = text;
  while (rest) {
    const auto [entry, more] = cut(*rest, ',');
    const auto parsed = parse_entry(entry, rule);
    if (!parsed) return parsed;
    field.bits |= parsed->bits;
    field.any = field.any || parsed->any;
    rest = more;
  }
  return field;
}

Result<std::string_view> expand_macro(std::string_view text) {
  static constexpr std::pair<std::string_view, std::string_view> kMacros[] = {
      {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
      {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
      {"@hourly", "0 * * * *"}};
  for (const auto& [macro, expansion] : kMacros) {
    if (text == macro) return expansion;
  }
  return fail(ErrorKind::Invalid,
              "the schedule " + quoted(text) +
                  " is not one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually");
}

std::vector<std::string_view> split_words(std::string_view text) {
  std::vector<std::string_view> words;
  constexpr std::string_view kBlank = " \t";
  for (size_t at = text.find_first_not_of(kBlank); at != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kBlank, at), text.size());
    words.push_back(text.substr(at, end - at));
    at = text.find_first_not_of(kBlank, end);
  }
  return words;
}

Result<const date::time_zone*> find_zone(std::string_view name) {
  if (name.empty() || name == "UTC" || name == "Etc/UTC") return nullptr;
  try {
    return date::locate_zone(name);
  } catch (const std::exception&) {
    return fail(ErrorKind::Invalid, "the time zone " + quoted(name) + " is unknown");
  }
}

// A stretch of time with one offset from UTC.
struct Segment {
  int64_t end = INT64_MAX;             // seconds since the epoch, the first that is not in it
  int64_t offset = 0;                  // seconds
  int64_t repeated_until = INT64_MIN;  // local seconds below this were on the clock before
};

Segment segment_at(const date::time_zone* zone, int64_t seconds) {
  if (zone == nullptr) return {};
  const auto info = zone->get_info(date::sys_seconds(chrono::seconds(seconds)));
  Segment segment{info.end.time_since_epoch().count(), info.offset.count(), INT64_MIN};
  const int64_t begin = info.begin.time_since_epoch().count();
  if (begin > -int64_t{1} << 40) {  // else it has no beginning
    const auto before = zone->get_info(date::sys_seconds(chrono::seconds(begin - 1)));
    if (before.offset > info.offset) segment.repeated_until = begin + before.offset.count();
  }
  return segment;
}

int64_t ceil_minutes(int64_t seconds) {
  return chrono::ceil<chrono::minutes>(chrono::seconds(seconds)).count();
}

}  // namespace

Result<CronSchedule> CronSchedule::parse(std::string_view expression, std::string_view time_zone) {
  std::vector<std::string_view> words = split_words(expression);
  if (words.size() == 1 && words[0].front() == '@') {
    const auto expanded = expand_macro(words[0]);
    if (!expanded) return fail(expanded.error());
    words = split_words(*expanded);
  }
  if (words.size() != 5) {
    return fail(ErrorKind::Invalid, "the schedule " + quoted(expression) + " has " +
                                        std::to_string(words.size()) +
                                        " fields instead of five (minute hour day-of-month month day-of-week)");
  }
  const FieldRule* rules[] = {&kMinute, &kHour, &kDay, &kMonth, &kWeekday};
  Field fields[5];
  for (int i = 0; i < 5; ++i) {
    auto field = parse_field(words[i], *rules[i]);
    if (!field) return fail(field.error());
    fields[i] = *field;
  }
  const auto zone = find_zone(time_zone);
  if (!zone) return fail(zone.error());
  CronSchedule schedule;
  schedule.minutes_ = fields[0].bits;
  schedule.hours_ = fields[1].bits;
  schedule.days_ = fields[2].bits;
  schedule.months_ = fields[3].bits;
  schedule.weekdays_ = fields[4].bits;
  schedule.any_hour_ = fields[1].any;
  schedule.any_day_ = fields[2].any;
  schedule.any_weekday_ = fields[4].any;
  schedule.zone_ = *zone;
  return schedule;
}

bool CronSchedule::day_matches(chrono::year_month_day day) const {
  const bool by_date = days_[static_cast<unsigned>(day.day())];
  const bool by_weekday = weekdays_[chrono::weekday(chrono::sys_days(day)).c_encoding()];
  return any_day_ || any_weekday_ ? by_date && by_weekday : by_date || by_weekday;
}

std::optional<CronSchedule::LocalMinutes> CronSchedule::next_local(LocalMinutes from,
                                                                   LocalMinutes limit) const {
  auto day = chrono::floor<chrono::days>(from);
  int first_minute = static_cast<int>((from - day).count());  // of the day
  while (LocalMinutes(day) < limit) {
    const chrono::year_month_day date{chrono::sys_days(day)};
    if (!months_[static_cast<unsigned>(date.month())]) {
      const auto next_month = chrono::year_month(date.year(), date.month()) + chrono::months(1);
      day = chrono::sys_days(next_month / chrono::day(1)).time_since_epoch();
      first_minute = 0;
      continue;
    }
    for (int m = first_minute; m < 24 * 60 && day_matches(date); ++m) {
      if (!hours_[m / 60]) {
        m += 59 - m % 60;
      } else if (minutes_[m % 60]) {
        const LocalMinutes found = day + chrono::minutes(m);
        return found < limit ? std::optional(found) : std::nullopt;
      }
    }
    day += chrono::days(1);
    first_minute = 0;
  }
  return std::nullopt;
}

std::optional<TimePoint> CronSchedule::next(TimePoint after) const {
  // Whole minutes on a local clock may be odd seconds in UTC (old zones had offsets such as +0:53:28), so
  // this counts in seconds.
  int64_t from = chrono::floor<chrono::seconds>(after).time_since_epoch().count() + 1;
  const int64_t limit = from + chrono::seconds(kHorizon).count();
  // Within a segment UTC and local time run alike: search there, and go on at its end.
  while (from < limit) {
    const Segment segment = segment_at(zone_, from);
    int64_t local = from + segment.offset;
    if (!any_hour_) local = std::max(local, segment.repeated_until);
    const int64_t local_end = std::min(segment.end, limit) + segment.offset;
    const auto found = next_local(LocalMinutes(ceil_minutes(local)), LocalMinutes(ceil_minutes(local_end)));
    if (found) return TimePoint(chrono::seconds(*found) - chrono::seconds(segment.offset));
    from = segment.end;
  }
  return std::nullopt;
}

}  // namespace mo
