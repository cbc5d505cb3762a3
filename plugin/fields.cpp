#include "plugin/fields.h"

namespace mo::plugin {
namespace {

// The code point that begins there and its length in bytes; -1 for a byte that is no UTF-8.
std::pair<int32_t, size_t> character_at(std::string_view text, size_t i) {
  const auto byte = [&](size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0; };
  const int first = byte(i);
  if (first < 0x80) return {first, 1};
  const size_t length = first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length == 0 || first >= 0xf5) return {-1, 1};
  int32_t point = first & (0xff >> (length + 1));
  for (size_t k = 1; k < length; ++k) {
    if ((byte(i + k) & 0xc0) != 0x80) return {-1, 1};
    point = (point << 6) | (byte(i + k) & 0x3f);
  }
  static constexpr int32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = point >= 0xd800 && point < 0xe000;
  if (point < kLeast[length] || point > 0x10ffff || surrogate) return {-1, 1};
  return {point, length};
}

// Control characters (CSI among them), separators of lines, and what turns the direction of text.
bool steers(int32_t point) {
  return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x200e || point == 0x200f || point == 0x061c ||
         (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

}  // namespace

const Json* field(const Json& object, std::string_view path) {
  const Json* at = &object;
  while (!path.empty()) {
    if (path.front() == '.') path.remove_prefix(1);
    const size_t end = std::min(path.find('.'), path.size());
    if (!at->is_object()) return nullptr;
    const auto it = at->find(std::string(path.substr(0, end)));
    if (it == at->end()) return nullptr;
    at = &*it;
    path.remove_prefix(end);
  }
  return at->is_null() ? nullptr : at;
}

std::string text(const Json& object, std::string_view path) {
  const Json* found = field(object, path);
  if (!found) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

int64_t number(const Json& object, std::string_view path, int64_t otherwise) {
  const Json* found = field(object, path);
  return found && found->is_number_integer() ? found->get<int64_t>() : otherwise;
}

std::optional<TimePoint> time_of(const Json& object, std::string_view path) {
  return parse_time(text(object, path));
}

const Json& items(const Json& object, std::string_view path) {
  static const Json none = Json::array();
  const Json* found = field(object, path);
  return found && found->is_array() ? *found : none;
}

std::string name_of(const Json& object) { return text(object, "metadata.name"); }

void give_generated_name(Json& object) {
  const std::string prefix = text(object, "metadata.generateName");
  if (!prefix.empty() && name_of(object).empty()) object["metadata"]["name"] = prefix + "xxxxx";
}

std::string printable(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const auto [point, length] = character_at(text, i);
    if (point == '\n' || point == '\r' || point == '\t')
      out += ' ';
    else if (point < 0 || steers(point))
      out += '?';
    else
      out.append(text, i, length);
    i += length;
  }
  return out;
}

Json printable(Json object) {
  if (object.is_string()) return printable(object.get_ref<const std::string&>());
  if (object.is_structured())
    for (Json& part : object) part = printable(std::move(part));
  return object;
}

std::string condition(const Json& object, std::string_view type) {
  for (const Json& one : items(object, "status.conditions"))
    if (text(one, "type") == type) return text(one, "status");
  return "";
}

std::string age(Duration d) {
  const auto s = std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(d).count());
  const auto two = [](int64_t a, const char* x, int64_t b, const char* y) {
    return std::to_string(a) + x + (b ? std::to_string(b) + y : "");
  };
  const int64_t minutes = s / 60, hours = s / 3600, days = s / 86400, years = days / 365;
  if (s < 120) return std::to_string(s) + "s";
  if (minutes < 10) return two(minutes, "m", s % 60, "s");
  if (minutes < 180) return std::to_string(minutes) + "m";
  if (hours < 8) return two(hours, "h", minutes % 60, "m");
  if (hours < 48) return std::to_string(hours) + "h";
  if (days < 8) return two(days, "d", hours % 24, "h");
  if (years < 2) return std::to_string(days) + "d";
  return two(years, "y", years < 8 ? days % 365 : 0, "d");
}

std::string span(Duration d) {
  return format_duration(std::max<Duration>(Duration(0), std::chrono::ceil<std::chrono::seconds>(d)));
}

}  // namespace mo::plugin
