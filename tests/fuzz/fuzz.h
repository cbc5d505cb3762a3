// What the fuzz targets share: how a broken property is told to libFuzzer, and inputs cut into pieces.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace mo::fuzz {

[[noreturn]] inline void broken(const char* what, const char* file, int line, const std::string& seen) {
  std::fprintf(stderr, "%s:%d: does not hold: %s\n%s\n", file, line, what, seen.c_str());
  std::abort();
}

// A property of what is tested; `seen` is shown with the finding.
#define MUST_SHOW(condition, seen) \
  ((condition) ? void() : ::mo::fuzz::broken(#condition, __FILE__, __LINE__, (seen)))
#define MUST(condition) MUST_SHOW(condition, std::string())

inline std::string_view view(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// The pieces between separators; one more than there are separators.
inline std::vector<std::string_view> pieces(std::string_view text, char separator = '\n') {
  std::vector<std::string_view> found;
  for (;;) {
    const size_t end = text.find(separator);
    found.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return found;
    text.remove_prefix(end + 1);
  }
}

// Discarded if it is not JSON, is nested deeper than anything that is ever read, or names a key twice: of
// those, each parser may take another one, and the API server sends none.
inline nlohmann::json json_of(std::string_view text) {
  using nlohmann::json;
  if (text.find('\0') != std::string_view::npos)
    return json(json::value_t::discarded);  // which it would take for the end
  struct Unfit {};
  std::vector<std::set<std::string>> keys;
  try {
    return json::parse(
        text,
        [&](int depth, json::parse_event_t event, json& value) {
          if (event == json::parse_event_t::object_start) keys.emplace_back();
          if (event == json::parse_event_t::object_end) keys.pop_back();
          if (event == json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second)
            throw Unfit();
          if (depth > 100) throw Unfit();
          return true;
        },
        false);
  } catch (const Unfit&) {
    return json(json::value_t::discarded);
  }
}

// Whether the text can be sent as JSON, or shown, as it is.
inline bool is_utf8(const std::string& text) {
  try {
    static_cast<void>(nlohmann::json(text).dump());
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

}  // namespace mo::fuzz
