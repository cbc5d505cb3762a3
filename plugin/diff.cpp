#include "plugin/diff.h"

#include <algorithm>
#include <set>

#include "operator/api/parse.h"
#include "operator/json/pod_defaults.h"
#include "plugin/fields.h"
#include "plugin/names.h"
#include "reconcilers/serving/render.h"
#include "reconcilers/serving/reserved.h"

namespace mo::plugin {
namespace {

constexpr size_t kLongestValue = 100;

std::string shortened(const Json& value) {
  if (value.is_null()) return "(absent)";
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (text.size() > kLongestValue) text = text.substr(0, kLongestValue) + "…";
  return text;
}

std::string name_in(const Json& item) {
  return item.is_object() && item.contains("name") && item["name"].is_string() ? item["name"].get<std::string>() : "";
}

// Lists whose entries have names of their own, as Kubernetes merges them.
bool has_names(const Json& list) {
  std::set<std::string> names;
  return std::all_of(list.begin(), list.end(), [&](const Json& item) { return !name_in(item).empty() && names.insert(name_in(item)).second; });
}

class Differences {
 public:
  void compare(const Json& before, const Json& after, const std::string& at) {
    if (before == after) return;
    if (before.is_object() && after.is_object()) return compare_fields(before, after, at);
    if (before.is_array() && after.is_array() && has_names(before) && has_names(after)) return compare_named(before, after, at);
    found.push_back(at + ": " + shortened(before) + " -> " + shortened(after));
  }

  std::vector<std::string> found;

 private:
  static Json member(const Json& object, const std::string& name) { return object.contains(name) ? object[name] : Json(); }

  void compare_fields(const Json& before, const Json& after, const std::string& at) {
    std::set<std::string> names;
    for (const Json* object : {&before, &after})
      for (const auto& [name, value] : object->items()) names.insert(name);
    for (const std::string& name : names) compare(member(before, name), member(after, name), at.empty() ? name : at + "." + name);
  }

  void compare_named(const Json& before, const Json& after, const std::string& at) {
    const auto entry = [](const Json& list, const std::string& name) {
      const auto it = std::find_if(list.begin(), list.end(), [&](const Json& item) { return name_in(item) == name; });
      return it == list.end() ? Json() : *it;
    };
    const size_t so_far = found.size();
    std::set<std::string> names;
    for (const Json* list : {&before, &after})
      for (const Json& item : *list) names.insert(name_in(item));
    for (const std::string& name : names) compare(entry(before, name), entry(after, name), at + "[" + name + "]");
    if (found.size() == so_far) found.push_back(at + ": the order of its entries");
  }
};

std::string fetch_image_of(const Json& pods) {
  for (const Json& container : items(pods, "spec.initContainers"))
    if (name_in(container).starts_with(serving::kFetchContainer)) return text(container, "image");
  return "";
}

// Without what names the revision itself, and what makes none.
Json bare(Json pods) {
  if (pods.contains("metadata") && pods["metadata"].contains("labels")) pods["metadata"]["labels"].erase(api::kLabelRevision);
  return without_defaults(std::move(pods));
}

struct Sides {
  std::string stable, asked;  // versions
  Json before, after;         // pod templates
};

Result<Sides> sides_of(Session& session, const std::string& name) {
  const auto object = get(session, Kind::Model, name);
  if (!object) return fail(object.error());
  Sides sides;
  sides.stable = text(*object, "status.stableVersion");
  if (sides.stable.empty()) return refuse("Model " + name + " serves no version yet to compare the spec with");
  const Json* before = field(*object, "status.stableRevision.template");
  if (!before)
    return refuse("the version that Model " + name + " serves was deployed by an operator version that did not record it: compare again after the next rollout");
  const auto model = api::parse<api::Model>(object->dump());
  if (!model) return fail(model.error());
  const bool pinned = model->track != "Promoted" && (model->version || model->artifact);
  const std::string spec_version = text(*object, "status.spec.version");
  sides.asked = !pinned ? sides.stable : model->version ? *model->version : spec_version.empty() ? sides.stable : spec_version;
  const auto record = get(session, Kind::ModelVersion, sides.asked);
  if (!record) return fail(record.error());
  const auto version = api::parse<api::ModelVersion>(record->dump());
  if (!version) return fail(version.error());
  const auto runtimes = list_parsed<api::ModelRuntime>(session, Kind::ModelRuntime);
  if (!runtimes) return fail(runtimes.error());
  const auto runtime = serving::choose_runtime(*model, version->artifact.format, *runtimes);
  if (!runtime) return fail(runtime.error());
  const auto asked = serving::make_revision(*model, *version, **runtime, {fetch_image_of(*before)});
  if (!asked) return fail(asked.error());
  const auto after = parse_json(asked->pod_template, 1u << 20);
  if (!after) return fail(after.error());
  sides.before = bare(*before);
  sides.after = bare(*after);
  return sides;
}

}  // namespace

std::vector<std::string> pod_differences(const Json& before, const Json& after) {
  Differences differences;
  differences.compare(before, after, "");
  return std::move(differences.found);
}

int diff(Session& session, const std::string& model) {
  const auto name = name_as(Kind::Model, model);
  if (!name) return complain(session, name.error());
  const auto sides = sides_of(session, *name);
  if (!sides) return complain(session, sides.error());
  std::vector<std::string> found = pod_differences(sides->before, sides->after);
  if (sides->stable != sides->asked) found.insert(found.begin(), "version: " + sides->stable + " -> " + sides->asked);
  for (const std::string& line : found) session.out << printable(line) << "\n";
  if (found.empty()) session.out << printable(sides->stable + " matches the spec") << "\n";
  return found.empty() ? kDone : kNo;
}

}  // namespace mo::plugin
