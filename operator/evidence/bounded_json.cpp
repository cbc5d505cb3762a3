#include "operator/evidence/bounded_json.h"

#include "operator/json/scan.h"

namespace mo::evidence {

using Json = nlohmann::json;

Json parse_bounded(std::string_view text, int max_depth) {
  // The parser would take it for the end and pass over what follows.
  if (text.find('\0') != std::string_view::npos) return Json(Json::value_t::discarded);
  // Not by the parser's callback: with one it looks at all elements of a list whenever one of them ends.
  if (json::depth_of(text) > max_depth) return Json(Json::value_t::discarded);
  return Json::parse(text, nullptr, false);
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
