#include "reconcilers/serving/retired_route.h"

namespace mo::serving {

bool keeps_route(const api::Model& model) { return model.route && model.route->retired; }

Result<Rendered> render_retired_route(const api::Model& model) {
  Result<Json> parents = parse_json(model.route->parent_refs, 1 << 16);
  if (!parents) return fail(ErrorKind::Invalid, "spec.serving.route.parentRefs: " + parents.error().message);
  const api::FilterRef& by = *model.route->retired;
  Json filter = {{"type", "ExtensionRef"}, {"extensionRef", {{"group", by.group}, {"kind", by.kind}, {"name", by.name}}}};
  Json body = object_of(model, Kind::HttpRoute, model.meta.key.name);
  // Nobody is behind it, and it says so.
  body["spec"] = {{"parentRefs", std::move(*parents)}, {"rules", {{{"backendRefs", Json::array()}, {"filters", {std::move(filter)}}}}}};
  if (!model.route->hostnames.empty()) body["spec"]["hostnames"] = model.route->hostnames;
  return sealed(std::move(body));
}

std::optional<Apply> retire_route(const Observed& o) {
  if (!keeps_route(*o.model)) return {};
  Result<Rendered> rendered = render_retired_route(*o.model);
  if (!rendered) return {};
  const auto it = o.routes.find(o.key.name);
  const api::ObjectMeta* have = it == o.routes.end() ? nullptr : &it->second.object->meta;
  if (have && (have->deleting || it->second.applied == rendered->hash)) return {};
  const api::FilterRef& by = *o.model->route->retired;
  Apply action{{Kind::HttpRoute, o.key}, {}, {}, rendered->hash, "the Model is retired: " + by.kind + " " + by.name + " answers callers", {}};
  if (have) {
    rendered->body["metadata"]["uid"] = action.uid = have->uid;
    action.resource_version = have->resource_version;
  }
  action.body = rendered->body.dump();
  return action;
}

bool answers_for_retired(const Observed& o) {
  const auto it = o.routes.find(o.key.name);
  return it != o.routes.end() && it->second.object->weights.empty() && it->second.object->chosen.empty();
}

}  // namespace mo::serving
