#include "tests/unit/crd_schema.h"

#include <yaml-cpp/yaml.h>

#include <stdexcept>

namespace mo::crd {
namespace {

// Texts stay texts: what a field's type is stands in the schema, and enums are texts throughout.
Json to_json(const YAML::Node& node) {
  if (node.IsMap()) {
    Json object = Json::object();
    for (const auto& member : node) {
      const auto name = member.first.as<std::string>();
      if (object.contains(name)) throw std::runtime_error("the key " + name + " occurs twice");
      object[name] = to_json(member.second);
    }
    return object;
  }
  if (node.IsSequence()) {
    Json list = Json::array();
    for (const auto& item : node) list.push_back(to_json(item));
    return list;
  }
  return node.IsScalar() ? Json(node.Scalar()) : Json();
}

bool is_true(const Json& schema, const char* name) { return schema.value(name, Json()) == "true"; }

void collect_unknown(const Json& schema, const Json& value, const std::string& path,
                     std::vector<std::string>& found) {
  if (value.is_array()) {
    for (const Json& item : value)
      collect_unknown(schema.value("items", Json::object()), item, path + "[]", found);
  }
  if (!value.is_object() || is_true(schema, "x-kubernetes-preserve-unknown-fields")) return;
  const Json properties = schema.value("properties", Json::object());
  for (const auto& [name, member] : value.items()) {
    const std::string here = path.empty() ? name : path + "." + name;
    if (properties.contains(name)) {
      collect_unknown(properties[name], member, here, found);
    } else if (!schema.contains("additionalProperties")) {
      found.push_back(here);
    }
  }
}

}  // namespace

Json schema_of(const std::string& plural) {
  const Json crd = to_json(YAML::LoadFile(std::string(MO_SOURCE_DIR) + "/crds/" + plural + ".yaml"));
  return crd.at("spec").at("versions").at(0).at("schema").at("openAPIV3Schema");
}

Json full_object(const Json& schema) {
  const std::string type = schema.value("type", "");
  if (type == "object") {
    Json object = Json::object();
    if (is_true(schema, "x-kubernetes-preserve-unknown-fields")) object["anything"] = "goes";
    const Json properties = schema.value("properties", Json::object());
    for (const auto& [name, member] : properties.items()) object[name] = full_object(member);
    if (schema.contains("additionalProperties"))
      object["any-key"] = full_object(schema["additionalProperties"]);
    return object;
  }
  if (type == "array") return Json::array({full_object(schema.at("items"))});
  if (type == "integer") return 1;
  if (type == "boolean") return true;
  if (schema.contains("enum")) return schema["enum"][0];
  return schema.value("format", "") == "date-time" ? "2026-11-22T09:00:00Z" : "0";
}

std::vector<std::string> unknown_fields(const Json& schema, const Json& value) {
  std::vector<std::string> found;
  // The API server knows these by itself.
  Json known = schema;
  known["properties"]["metadata"] = {{"x-kubernetes-preserve-unknown-fields", "true"}};
  collect_unknown(known, value, "", found);
  return found;
}

}  // namespace mo::crd
