#include "operator/core/size.h"

#include <charconv>
#include <limits>
#include <utility>

namespace mo {

std::optional<uint64_t> parse_size(std::string_view text) {
  static constexpr std::pair<std::string_view, uint64_t> kUnits[] = {
      {"", 1},           {"k", 1'000},        {"M", 1'000'000},    {"G", 1'000'000'000}, {"T", 1'000'000'000'000},
      {"Ki", 1ull << 10}, {"Mi", 1ull << 20}, {"Gi", 1ull << 30}, {"Ti", 1ull << 40}};
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number == 0) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  for (const auto& [unit, bytes] : kUnits)
    if (text == unit && number <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / bytes) return number * bytes;
  return std::nullopt;
}

}  // namespace mo
