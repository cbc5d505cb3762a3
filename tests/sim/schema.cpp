#include "tests/sim/schema.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <stdexcept>

#include "operator/core/time.h"

namespace mo::sim {
namespace {

Json json_of(const YAML::Node& node) {
  if (node.IsSequence()) {
    Json list = Json::array();
    for (const auto& item : node) list.push_back(json_of(item));
    return list;
  }
  if (node.IsMap()) {
    Json object = Json::object();
    for (const auto& item : node) object[item.first.as<std::string>()] = json_of(item.second);
    return object;
  }
  int64_t number = 0;
  bool truth = false;
  const bool quoted = node.Tag() == "!";
  if (!quoted && YAML::convert<int64_t>::decode(node, number)) return number;
  if (!quoted && YAML::convert<bool>::decode(node, truth)) return truth;
  return node.as<std::string>("");
}

bool has_type(const Json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "integer") return value.is_number_integer();
  if (type == "boolean") return value.is_boolean();
  return true;
}

}  // namespace

struct SchemaReader {
  static Schema read(const Json& node) {
    Schema s;
    s.type = node.value("type", "");
    s.format = node.value("format", "");
    s.open = node.value("x-kubernetes-preserve-unknown-fields", false);
    s.required = node.value("required", std::vector<std::string>{});
    if (node.contains("enum")) s.allowed = node["enum"].get<std::vector<Json>>();
    if (node.contains("default")) s.default_value = std::make_shared<Json>(node["default"]);
    if (node.contains("properties"))
      for (const auto& [name, property] : node["properties"].items())
        s.properties.emplace(name, read(property));
    if (node.contains("items")) s.items = std::make_shared<Schema>(read(node["items"]));
    if (node.contains("additionalProperties") && node["additionalProperties"].is_object())
      s.additional = std::make_shared<Schema>(read(node["additionalProperties"]));
    return s;
  }

  static Schema load(const std::string& plural) {
    const Json crd = json_of(YAML::LoadFile(std::string(MO_SOURCE_DIR) + "/crds/" + plural + ".yaml"));
    return read(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
  }
};

const Schema& Schema::of(Kind kind) {
  static const std::map<Kind, Schema> all = [] {
    std::map<Kind, Schema> found;
    for (Kind k : kStoredKinds)
      if (info(k).ours()) found.emplace(k, SchemaReader::load(info(k).plural));
    return found;
  }();
  return all.at(kind);
}

void Schema::fill(Json& value) const {
  if (value.is_object())
    for (const auto& [name, property] : properties) {
      if (!value.contains(name) && property.default_value) value[name] = *property.default_value;
      if (value.contains(name)) property.fill(value[name]);
    }
  if (value.is_array() && items)
    for (Json& item : value) items->fill(item);
}

void Schema::fill_defaults(Json& object) const { fill(object); }

std::string Schema::check_object(const Json& value, const std::string& path) const {
  for (const std::string& name : required)
    if (!value.contains(name)) return path + "." + name + " is required";
  for (const auto& [name, member] : value.items()) {
    const auto property = properties.find(name);
    std::string problem;
    if (property != properties.end())
      problem = property->second.check(member, path + "." + name);
    else if (additional)
      problem = additional->check(member, path + "." + name);
    else if (!open && !(properties.empty() && type.empty()))
      problem = path + "." + name + " is not in the CRD";
    if (!problem.empty()) return problem;
  }
  return "";
}

std::string Schema::check(const Json& value, const std::string& path) const {
  if (!has_type(value, type)) return path + " is " + value.dump() + ", not of type " + type;
  if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), value) == allowed.end())
    return path + " is " + value.dump() + ", which the CRD does not allow";
  if (format == "date-time" && value.is_string() && !parse_time(value.get<std::string>()))
    return path + " is no time: " + value.dump();
  if (value.is_object()) return check_object(value, path);
  if (value.is_array() && items)
    for (size_t i = 0; i < value.size(); ++i) {
      std::string problem = items->check(value[i], path + "[" + std::to_string(i) + "]");
      if (!problem.empty()) return problem;
    }
  return "";
}

std::string Schema::complaint(const Json& object) const {
  for (const char* part : {"spec", "status"}) {
    const auto property = properties.find(part);
    if (!object.contains(part) || property == properties.end()) continue;
    std::string problem = property->second.check(object[part], part);
    if (!problem.empty()) return problem;
  }
  return "";
}

}  // namespace mo::sim
