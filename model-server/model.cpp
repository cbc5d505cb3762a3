#include "model-server/model.h"

#include <cmath>

#include "model-server/reader.h"

namespace model_server {
namespace {

constexpr int kMaxModelDepth = 16;

Json parse(std::string_view text) {
  // The parser would take it for the end and pass over what follows.
  if (const size_t zero = text.find('\0'); zero != std::string_view::npos)
    throw BadModel("the model is not JSON: it has a zero byte at " + std::to_string(zero + 1));
  try {
    return Json::parse(text, [](int depth, Json::parse_event_t, Json&) {
      if (depth > kMaxModelDepth) throw BadModel("the model is nested too deep");
      return true;
    });
  } catch (const Json::parse_error& e) {
    throw BadModel(e.byte > text.size()
                       ? "the model's JSON is cut or empty: it ends after " + std::to_string(text.size()) +
                             " bytes"
                       : "the model is not JSON: it goes wrong at byte " + std::to_string(e.byte));
  } catch (const Json::exception&) {
    throw BadModel("the model has a number that is out of range");
  }
}

}  // namespace

std::string class_text(const Value& label) {
  if (const auto* text = std::get_if<std::string>(&label)) return *text;
  const double number = std::get<double>(label);
  const bool whole = number == std::floor(number) && std::abs(number) < 9e15;
  return whole ? std::to_string(static_cast<int64_t>(number)) : Json(number).dump();
}

std::unique_ptr<Model> load_model(std::string_view text) {
  const Json document = parse(text);
  Reader reader(document, "");
  const std::string kind = reader.text("kind");
  if (const Json* version = reader.find("version"); version && *version != "1" && *version != 1)
    throw BadModel("version must be \"1\", it is " + shown(*version));
  reader.find("description");
  if (kind == "linear") return load_linear(reader);
  if (kind == "scorecard") return load_scorecard(reader);
  if (kind == "rules") return load_rules(reader);
  throw BadModel("kind must be linear, scorecard or rules, it is \"" + kind + "\"");
}

}  // namespace model_server
