#include "model-server/reader.h"

#include <algorithm>
#include <cmath>

namespace model_server {

std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 80) text = text.substr(0, 80) + "...";
  return text;
}

double number_of(const Json& value, const std::string& path) {
  if (!value.is_number() || !std::isfinite(value.get<double>()))
    throw BadModel(path + " must be a number, it is " + shown(value));
  return value.get<double>();
}

Value label_of(const Json& value, const std::string& path) {
  if (value.is_number()) return number_of(value, path);
  if (value.is_string() && !value.get_ref<const std::string&>().empty()) return value.get<std::string>();
  throw BadModel(path + " must be a number or a text, it is " + shown(value));
}

std::vector<std::string> names_of(const Json& list, const std::string& path) {
  std::vector<std::string> names;
  for (const Json& name : list) {
    if (!name.is_string() || name.get_ref<const std::string&>().empty())
      throw BadModel(path + " must be names, one is " + shown(name));
    if (std::find(names.begin(), names.end(), name.get_ref<const std::string&>()) != names.end())
      throw BadModel(path + " has " + shown(name) + " twice");
    names.push_back(name.get<std::string>());
  }
  return names;
}

LabelType common_type(const std::vector<Value>& labels, const std::string& path) {
  const auto is_text = [](const Value& label) { return std::holds_alternative<std::string>(label); };
  if (std::all_of(labels.begin(), labels.end(), is_text)) return LabelType::Bytes;
  if (std::any_of(labels.begin(), labels.end(), is_text))
    throw BadModel(path + " must be all numbers or all texts");
  const auto whole = [](const Value& label) {
    const double number = std::get<double>(label);
    return number == std::floor(number) && std::abs(number) < 9e15;
  };
  return std::all_of(labels.begin(), labels.end(), whole) ? LabelType::Int64 : LabelType::Fp64;
}

Reader::Reader(const Json& object, std::string path) : object_(object), path_(std::move(path)) {
  if (!object.is_object())
    throw BadModel((path_.empty() ? "the model" : path_) + " must be an object, it is " + shown(object));
}

const Json* Reader::find(const std::string& field) {
  asked_.insert(field);
  const auto it = object_.find(field);
  return it == object_.end() ? nullptr : &*it;
}

const Json& Reader::get(const std::string& field) {
  const Json* value = find(field);
  if (!value) throw BadModel(path_of(field) + " is missing");
  return *value;
}

double Reader::number(const std::string& field) { return number_of(get(field), path_of(field)); }

std::optional<double> Reader::maybe_number(const std::string& field) {
  const Json* value = find(field);
  return value ? std::optional(number_of(*value, path_of(field))) : std::nullopt;
}

std::string Reader::text(const std::string& field) {
  const Json& value = get(field);
  if (!value.is_string() || value.get_ref<const std::string&>().empty())
    throw BadModel(path_of(field) + " must be a text, it is " + shown(value));
  return value.get<std::string>();
}

const Json& Reader::list(const std::string& field) {
  const Json& value = get(field);
  if (!value.is_array() || value.empty())
    throw BadModel(path_of(field) + " must be a list that is not empty, it is " + shown(value));
  return value;
}

Value Reader::label(const std::string& field) { return label_of(get(field), path_of(field)); }

void Reader::nothing_else() const {
  for (const auto& [name, value] : object_.items())
    if (!asked_.count(name)) throw BadModel(path_of(name) + " is not a field that is known here");
}

}  // namespace model_server
