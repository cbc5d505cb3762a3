#include "operator/evidence/bounded_json.h"

namespace mo::evidence {

using Json = nlohmann::json;

Json parse_bounded(std::string_view text, int max_depth) {
  // The parser would take it for the end and pass over what follows.
  if (text.find('\0') != std::string_view::npos) return Json(Json::value_t::discarded);
  struct TooDeep {};
  try {
    return Json::parse(
        text,
        [max_depth](int depth, Json::parse_event_t, Json&) {
          if (depth > max_depth) throw TooDeep{};
          return true;
        },
        false);
  } catch (const TooDeep&) {
    return Json(Json::value_t::discarded);
  }
}

nlohmann::json member_of(const nlohmann::json& object, const char* member) {
  return object.is_object() ? object.value(member, nlohmann::json()) : nlohmann::json();
}

std::string text_of(const Json& object, const char* member) {
  if (!object.is_object()) return "";
  const auto it = object.find(member);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

}  // namespace mo::evidence
