// Reading a model's JSON: every field is checked where it is taken, and what nobody took is a mistake of the
// author's.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "model-server/model.h"

namespace model_server {

using Json = nlohmann::json;

// The value as short JSON, for messages.
std::string shown(const Json& value);

// One JSON object of the model. Throws BadModel for whatever is not as asked. Refers to the JSON, which must
// outlive it.
class Reader {
 public:
  Reader(const Json& object, std::string path);

  const Json* find(const std::string& field);  // null if absent
  const Json& get(const std::string& field);
  double number(const std::string& field);  // finite
  std::optional<double> maybe_number(const std::string& field);
  std::string text(const std::string& field);  // not empty
  const Json& list(const std::string& field);  // not empty
  Value label(const std::string& field);       // a number or a text

  // To be called at the end: throws if there is a field that nobody asked for.
  void nothing_else() const;
  std::string path_of(const std::string& field) const { return path_.empty() ? field : path_ + "." + field; }

 private:
  const Json& object_;
  std::string path_;
  std::set<std::string> asked_;
};

double number_of(const Json& value, const std::string& path);
Value label_of(const Json& value, const std::string& path);
std::vector<std::string> names_of(const Json& list, const std::string& path);  // texts, no two alike
// The type that holds all labels; throws BadModel when numbers and texts are mixed.
LabelType common_type(const std::vector<Value>& labels, const std::string& path);

// One per kind; they take their fields from `reader` (which already gave kind and version).
std::unique_ptr<Model> load_linear(Reader& reader);
std::unique_ptr<Model> load_scorecard(Reader& reader);
std::unique_ptr<Model> load_rules(Reader& reader);

}  // namespace model_server
