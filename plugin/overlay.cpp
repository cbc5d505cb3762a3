#include "plugin/overlay.h"

#include "plugin/fields.h"

namespace mo::plugin {
namespace {

constexpr const char* kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";

// Without what `file` leaves out of what the same person had written before; the rest belongs to others.
Json three_way(const Json& before, const Json& live, const Json& file) {
  if (!live.is_object() || !file.is_object()) return file;
  Json out = live;
  if (before.is_object())
    for (const auto& [key, value] : before.items())
      if (!file.contains(key)) out.erase(key);
  for (const auto& [key, value] : file.items())
    out[key] =
        live.contains(key)
            ? three_way(before.is_object() && before.contains(key) ? before[key] : Json(), live[key], value)
            : value;
  return out;
}

Json written_before(const Json& live) {
  const Json* annotations = field(live, "metadata.annotations");
  if (annotations && annotations->is_object() && annotations->contains(kLastApplied) &&
      (*annotations)[kLastApplied].is_string()) {
    const auto before = parse_json((*annotations)[kLastApplied].get_ref<const std::string&>(), 8u << 20);
    if (before && before->is_object()) return before->value("spec", Json());
  }
  // Applied by the API server, or never: taken as if all of it had been written, but for what scaling sets.
  Json spec = live.value("spec", Json::object());
  if (spec.is_object() && spec.contains("serving") && spec["serving"].is_object())
    spec["serving"].erase("replicas");
  return spec;
}

std::string in_short(const Json& value) {
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  return text.size() > 100 ? text.substr(0, 97) + "..." : text;
}

// "/steps/3/weight" as ".steps[3].weight".
std::string dotted(Json::json_pointer pointer) {
  std::string path;
  for (; !pointer.empty(); pointer.pop_back()) {
    const std::string& part = pointer.back();
    const bool index = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    path.insert(0, index ? "[" + part + "]" : "." + part);
  }
  return path;
}

}  // namespace

Json laid_over(const Json& live, const Json& file) {
  Json out = live;
  out["spec"] =
      three_way(written_before(live), live.value("spec", Json::object()), file.value("spec", Json::object()));
  for (const char* map : {"labels", "annotations"})
    if (const Json* added = field(file, std::string("metadata.") + map); added && added->is_object())
      for (const auto& [name, value] : added->items()) out["metadata"][map][name] = value;
  return out;
}

std::vector<std::string> differences(const Json& before, const Json& after) {
  std::vector<std::string> lines;
  for (const Json& change : Json::diff(before, after)) {
    const Json::json_pointer at(change["path"].get<std::string>());
    const std::string old = before.contains(at) ? in_short(before[at]) : "";
    const std::string path = "spec" + dotted(at);
    if (change["op"] == "remove")
      lines.push_back(path + ": " + old + " is removed");
    else if (change["op"] == "add" || old.empty())
      lines.push_back(path + ": " + in_short(change["value"]) + " is added");
    else
      lines.push_back(path + ": " + old + " -> " + in_short(change["value"]));
  }
  return lines;
}

}  // namespace mo::plugin
