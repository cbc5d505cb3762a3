#include "plugin/schema.h"

#include <re2/re2.h>

#include <algorithm>
#include <limits>
#include <set>

#include "operator/core/time.h"
#include "plugin/crd_rules.h"
#include "plugin/fields.h"
#include "plugin/names.h"

namespace mo::plugin {
namespace {

// All that a schema may hold and that check() heeds, or may pass over.
const std::set<std::string> kHeeded = {"type",
                                       "properties",
                                       "additionalProperties",
                                       "items",
                                       "required",
                                       "enum",
                                       "default",
                                       "minimum",
                                       "maximum",
                                       "minLength",
                                       "maxLength",
                                       "pattern",
                                       "minItems",
                                       "maxItems",
                                       "minProperties",
                                       "maxProperties",
                                       "format",
                                       "x-kubernetes-validations",
                                       "x-kubernetes-list-type",
                                       "x-kubernetes-list-map-keys",
                                       "x-kubernetes-map-type",
                                       "x-kubernetes-preserve-unknown-fields",
                                       "x-kubernetes-int-or-string",
                                       "nullable",
                                       "description"};
const std::set<std::string> kFormats = {"date-time", "int32", "int64"};
const std::set<std::string> kRuleFields = {"rule", "message", "messageExpression", "fieldPath", "reason"};
const std::set<std::string> kTypes = {"object", "array", "string", "integer", "number", "boolean"};

const std::set<std::string> kMetadata = {"name",
                                         "generateName",
                                         "namespace",
                                         "labels",
                                         "annotations",
                                         "finalizers",
                                         "ownerReferences",
                                         "uid",
                                         "resourceVersion",
                                         "generation",
                                         "creationTimestamp",
                                         "deletionTimestamp",
                                         "deletionGracePeriodSeconds",
                                         "managedFields",
                                         "selfLink"};

bool flag(const Json& schema, const char* name) { return schema.value(name, Json(false)) == Json(true); }

std::string shown_value(const Json& value) {
  const std::string text = value.dump();
  return text.size() > 120 ? text.substr(0, 117) + "..." : text;
}

// "/" and the key, as a JSON pointer spells it.
std::string slash(const std::string& key) { return (Json::json_pointer() / key).to_string(); }

size_t characters(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xC0) != 0x80; });
}

struct Place {
  std::string pointer, path;
  Place member(const std::string& name) const {
    return {pointer + slash(name), path.empty() ? name : path + "." + name};
  }
  Place item(size_t i) const {
    return {pointer + "/" + std::to_string(i), path + "[" + std::to_string(i) + "]"};
  }
};

class Checker {
 public:
  // Whether nothing is wrong there.
  bool check(const Json& schema, Json& value, const Place& at, const Json* old = nullptr) {
    const size_t before = mistakes.size();
    if (value.is_null() && flag(schema, "nullable")) return true;
    if (!fits_type(schema, value, at)) return false;
    if (schema.contains("enum") && !contains(schema["enum"], value)) unsupported(schema["enum"], value, at);
    if (value.is_object()) check_object(schema, value, at, old);
    if (value.is_array()) check_array(schema, value, at);
    if (value.is_string()) check_text(schema, value.get_ref<const std::string&>(), at);
    if (value.is_number()) check_number(schema, value, at);
    // The rules may rely on what the schema promises.
    if (mistakes.size() == before) check_rules(schema, value, at, old);
    return mistakes.size() == before;
  }

  std::vector<Mistake> mistakes;

 private:
  void wrong(const Place& at, const std::string& message) {
    mistakes.push_back({at.pointer, at.path, message});
  }
  void invalid(const Place& at, const Json& value, const std::string& message) {
    wrong(at, "Invalid value: " + shown_value(value) + ": " + message);
  }

  static bool contains(const Json& list, const Json& value) {
    return std::find(list.begin(), list.end(), value) != list.end();
  }

  void unsupported(const Json& supported, const Json& value, const Place& at) {
    std::string all;
    for (const Json& one : supported) all += (all.empty() ? "" : ", ") + one.dump();
    wrong(at, "Unsupported value: " + shown_value(value) + ": supported values: " + all);
  }

  bool fits_type(const Json& schema, const Json& value, const Place& at) {
    if (flag(schema, "x-kubernetes-int-or-string")) {
      if (value.is_string() || value.is_number_integer()) return true;
      invalid(at, value, "must be of type integer or string");
      return false;
    }
    const std::string type = text(schema, "type");
    if (type.empty() && flag(schema, "x-kubernetes-preserve-unknown-fields")) return true;
    const bool whole = value.is_number_float() &&
                       value.get<double>() == static_cast<double>(static_cast<int64_t>(value.get<double>()));
    const bool fits = type == "object"    ? value.is_object()
                      : type == "array"   ? value.is_array()
                      : type == "string"  ? value.is_string()
                      : type == "integer" ? value.is_number_integer() || whole
                      : type == "number"  ? value.is_number()
                                          : value.is_boolean();
    if (!fits) invalid(at, value, "must be of type " + type + ", not " + value.type_name());
    return fits;
  }

  void check_object(const Json& schema, Json& value, const Place& at, const Json* old) {
    const Json none = Json::object();
    const Json& properties = schema.contains("properties") ? schema["properties"] : none;
    for (const auto& [name, member] : properties.items())
      if (member.contains("default") && (!value.contains(name) || value[name].is_null()))
        value[name] = member["default"];
    for (const Json& name : items(schema, "required"))
      if (!value.contains(name.get<std::string>()))
        wrong(at.member(name.get<std::string>()), "Required value");
    bound(at, schema, "minProperties", value.size(), "must have at least ", " members");
    bound(at, schema, "maxProperties", value.size(), "must have at most ", " members");
    for (auto& [name, member] : value.items()) {
      if (properties.contains(name))
        check(properties[name], member, at.member(name),
              old && old->is_object() && old->contains(name) ? &(*old)[name] : nullptr);
      else if (const Json* more = field(schema, "additionalProperties"); more && more->is_object())
        check(*more, member, at.member(name));
      else if (!more && !flag(schema, "x-kubernetes-preserve-unknown-fields"))
        wrong(at.member(name), "unknown field \"" + at.member(name).path + "\"" + meant(name, properties));
    }
  }

  // The field that was meant, if one is near.
  static std::string meant(const std::string& name, const Json& properties) {
    const auto plain = [](std::string text) {
      std::erase_if(text, [](unsigned char c) { return !std::isalnum(c); });
      std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
      if (text.ends_with('s')) text.pop_back();
      return text;
    };
    for (const auto& [known, schema] : properties.items())
      if (plain(known) == plain(name)) return ", did you mean " + known + "?";
    return "";
  }

  void check_array(const Json& schema, Json& value, const Place& at) {
    bound(at, schema, "minItems", value.size(), "should have at least ", " items");
    bound(at, schema, "maxItems", value.size(), "should have at most ", " items");
    for (size_t i = 0; i < value.size(); ++i) check(schema.at("items"), value[i], at.item(i));
    const std::string kind = text(schema, "x-kubernetes-list-type");
    std::set<Json> seen;
    for (size_t i = 0; i < value.size() && (kind == "set" || kind == "map"); ++i) {
      Json key = kind == "set" ? value[i] : Json::object();
      for (const Json& name : items(schema, "x-kubernetes-list-map-keys"))
        if (value[i].is_object())
          key[name.get<std::string>()] = value[i].value(name.get<std::string>(), Json());
      if (!seen.insert(key).second) wrong(at.item(i), "Duplicate value: " + shown_value(key));
    }
  }

  void bound(const Place& at, const Json& schema, const char* name, size_t size, const char* words,
             const char* unit) {
    if (!schema.contains(name)) return;
    const auto limit = schema[name].get<size_t>();
    const bool least = std::string_view(name).starts_with("min");
    if (least ? size >= limit : size <= limit) return;
    wrong(at, "Invalid value: " + std::to_string(size) + unit + ": " + words + std::to_string(limit) + unit);
  }

  void check_text(const Json& schema, const std::string& value, const Place& at) {
    bound(at, schema, "minLength", characters(value), "should be at least ", " chars long");
    bound(at, schema, "maxLength", characters(value), "may not be more than ", " bytes");
    if (text(schema, "format") == "date-time" && !parse_time(value))
      invalid(at, value, "must be of type date-time, such as 2026-11-22T09:00:00Z");
    if (const std::string pattern = text(schema, "pattern");
        !pattern.empty() && !RE2::PartialMatch(value, pattern))
      invalid(at, value, "should match '" + pattern + "'");
  }

  void check_number(const Json& schema, const Json& value, const Place& at) {
    const std::string format = text(schema, "format");
    const double number = value.get<double>();
    if (format == "int32" &&
        (number < std::numeric_limits<int32_t>::min() || number > std::numeric_limits<int32_t>::max()))
      invalid(at, value, "must be of type int32");
    if (schema.contains("minimum") && value < schema["minimum"])
      invalid(at, value, "should be greater than or equal to " + schema["minimum"].dump());
    if (schema.contains("maximum") && value > schema["maximum"])
      invalid(at, value, "should be less than or equal to " + schema["maximum"].dump());
  }

  void check_rules(const Json& schema, const Json& value, const Place& at, const Json* old) {
    for (const Json& rule : items(schema, "x-kubernetes-validations")) {
      const auto expression = parse_rule(text(rule, "rule"));
      if (!expression) {
        wrong(at, "cannot be checked: " + expression.error().message);
        continue;
      }
      if (expression->compares_with_old() && !old) continue;
      const auto holds = expression->holds(value, old);
      if (holds && *holds) continue;
      Place where = at;
      std::string path = text(rule, "fieldPath");
      while (!path.empty()) {
        const size_t end = std::min(path.find('.', 1), path.size());
        where = where.member(path.substr(1, end - 1));
        path.erase(0, end);
      }
      const std::string words = said(rule, value);
      const bool shows = value.is_structured() || words.find(shown_value(value)) != std::string::npos;
      wrong(where, shows ? words : "Invalid value: " + shown_value(value) + ": " + words);
    }
  }

  static std::string said(const Json& rule, const Json& value) {
    if (const auto expression = parse_rule(text(rule, "messageExpression")))
      if (const auto words = expression->say(value)) return *words;
    const std::string message = text(rule, "message");
    return message.empty() ? "failed rule: " + text(rule, "rule") : message;
  }
};

void check_metadata(const Json& object, std::vector<Mistake>& mistakes) {
  const Json none = Json::object();
  const Json& metadata =
      object.contains("metadata") && object["metadata"].is_object() ? object["metadata"] : none;
  const auto wrong = [&](const std::string& name, const std::string& message) {
    mistakes.push_back({"/metadata" + slash(name), "metadata." + name, message});
  };
  for (const auto& [name, value] : metadata.items())
    if (!kMetadata.count(name)) wrong(name, "unknown field \"metadata." + name + "\"");
  for (const char* map : {"labels", "annotations"}) {
    if (!metadata.contains(map) || metadata[map].is_null()) continue;
    if (!metadata[map].is_object()) wrong(map, "must be a map of texts");
    for (const auto& [name, value] : metadata[map].items())
      if (!value.is_string())
        mistakes.push_back({std::string("/metadata/") + map + slash(name),
                            std::string("metadata.") + map + "." + name,
                            "Invalid value: " + shown_value(value) + ": must be of type string; put it in quotes"});
  }
  const std::string name = text(metadata, "name");
  if (name.empty() && text(metadata, "generateName").empty())
    wrong("name", "Required value: name or generateName is required");
  else if (!name.empty() &&
           (!metadata["name"].is_string() || !is_object_name(name)))
    wrong("name", "Invalid value: " + shown_value(metadata["name"]) +
                      ": must be lower case letters, digits, \"-\" and \".\", beginning and ending with a "
                      "letter or digit");
}

void collect_unknown_in(const Json& schema, const std::string& path, std::vector<std::string>& found) {
  const auto odd = [&](const std::string& what) { found.push_back(path + ": " + what); };
  for (const auto& [name, value] : schema.items())
    if (!kHeeded.count(name)) odd(name);
  if (!schema.contains("type") && !flag(schema, "x-kubernetes-preserve-unknown-fields") &&
      !flag(schema, "x-kubernetes-int-or-string"))
    odd("no type");
  if (schema.contains("type") && !kTypes.count(text(schema, "type"))) odd("type " + text(schema, "type"));
  if (schema.contains("format") && !kFormats.count(text(schema, "format")))
    odd("format " + text(schema, "format"));
  for (const Json& rule : items(schema, "x-kubernetes-validations")) {
    for (const auto& [name, value] : rule.items())
      if (!kRuleFields.count(name)) odd("a rule's " + name);
    for (const char* part : {"rule", "messageExpression"}) {
      if (!rule.contains(part)) continue;
      const auto expression = parse_rule(text(rule, part));
      if (!expression) odd(expression.error().message);
    }
  }
  if (const Json* properties = field(schema, "properties"))
    for (const auto& [name, member] : properties->items())
      collect_unknown_in(member, path + "." + name, found);
  for (const char* inner : {"items", "additionalProperties"})
    if (schema.contains(inner) && schema[inner].is_object())
      collect_unknown_in(schema[inner], path + "[]", found);
}

}  // namespace

std::vector<Mistake> check(const Crd& crd, Json& object, const Json* old) {
  object.erase("status");
  Checker checker;
  check_metadata(object, checker.mistakes);
  const bool named = checker.mistakes.empty();
  Json schema = crd.schema;
  schema["properties"].erase("status");
  schema["properties"]["metadata"] = {{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}};
  // Rules on the whole object read its name.
  if (!named || !field(object, "metadata.name")) schema.erase("x-kubernetes-validations");
  checker.check(schema, object, {}, old);
  return std::move(checker.mistakes);
}

std::vector<std::string> unknown_in(const Json& schema) {
  std::vector<std::string> found;
  collect_unknown_in(schema, "", found);
  return found;
}

}  // namespace mo::plugin
