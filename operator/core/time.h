// Points in time and spans of time. Time is always an argument: nothing in core, api or reconcilers reads a
// clock.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace mo {

// UTC, to the millisecond.
using TimePoint = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;
using Duration = std::chrono::milliseconds;

// RFC 3339 as Kubernetes writes it: whole seconds ("2026-11-22T09:00:00Z").
std::string format_time(TimePoint t);
// Whole seconds if it is in whole seconds, else with its fraction.
std::string format_exact_time(TimePoint t);
// metav1.MicroTime, for Leases ("2026-11-22T09:00:00.123000Z").
std::string format_micro_time(TimePoint t);
// Any RFC 3339 text, with offset and fractions. Nothing if it is not one, or not in the years 0000 to 9999 of
// UTC.
std::optional<TimePoint> parse_time(std::string_view text);

// Go durations as Kubernetes users write them: "300ms", "1h30m", "1.5h". Not negative, at most ten years.
std::optional<Duration> parse_duration(std::string_view text);
// The shortest such text: "1h30m", "5m", "0s".
std::string format_duration(Duration d);

}  // namespace mo
