#include "operator/evidence/adopted_objects.h"

#include <algorithm>

#include "operator/api/types.h"
#include "operator/evidence/bounded_json.h"

namespace mo::evidence {
namespace {

using Json = nlohmann::json;

Json object_or_empty(Json value) { return value.is_object() ? std::move(value) : Json::object(); }

int64_t number_of(const Json& object, const char* member, int64_t otherwise) {
  const Json found = member_of(object, member);
  return found.is_number_integer() ? found.get<int64_t>() : otherwise;
}

std::string controller_of(const Json& metadata) {
  const Json owners = member_of(metadata, "ownerReferences");
  if (!owners.is_array()) return "";
  for (const Json& owner : owners)
    if (member_of(owner, "controller") == true) return text_of(owner, "kind") + " " + text_of(owner, "name");
  return "";
}

std::string text_of_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Result<std::string> adopted_deployment(std::string_view deployment) {
  const Json object = parse_bounded(deployment);
  const Json metadata = member_of(object, "metadata"), spec = member_of(object, "spec"),
             status = member_of(object, "status");
  if (text_of(metadata, "uid").empty()) return fail(ErrorKind::Malformed, "the Deployment cannot be read");
  const bool observed = number_of(status, "observedGeneration", 0) >= number_of(metadata, "generation", 0);
  const Json pods = member_of(member_of(spec, "template"), "metadata");
  return text_of_json({{"uid", text_of(metadata, "uid")},
                       {"resourceVersion", text_of(metadata, "resourceVersion")},
                       {"deleting", !text_of(metadata, "deletionTimestamp").empty()},
                       {"replicas", number_of(spec, "replicas", 1)},
                       {"ready", observed ? number_of(status, "readyReplicas", 0) : 0},
                       {"labels", object_or_empty(member_of(pods, "labels"))},
                       {"controller", controller_of(metadata)}});
}

Result<std::string> adopted_service(std::string_view service) {
  const Json object = parse_bounded(service);
  const Json metadata = member_of(object, "metadata"), spec = member_of(object, "spec");
  if (text_of(metadata, "uid").empty()) return fail(ErrorKind::Malformed, "the Service cannot be read");
  const Json selector = object_or_empty(member_of(spec, "selector"));
  Json ports = member_of(spec, "ports");
  if (!ports.is_array()) ports = Json::array();
  for (Json& port : ports)
    if (port.is_object()) port.erase("nodePort");
  return text_of_json({{"uid", text_of(metadata, "uid")},
                       {"resourceVersion", text_of(metadata, "resourceVersion")},
                       {"selector", selector},
                       {"ports", std::move(ports)},
                       {"managedBy", text_of(object_or_empty(member_of(metadata, "labels")), "app.kubernetes.io/managed-by")},
                       {"controller", controller_of(metadata)},
                       {"applied", !text_of(object_or_empty(member_of(metadata, "annotations")), api::kAnnotationApplied).empty()},
                       {"headless", text_of(spec, "clusterIP") == "None"},
                       {"external", selector.empty() || text_of(spec, "type") == "ExternalName"}});
}

Result<Selecting> services_that_select(std::string_view list, std::string_view deployment_words) {
  const Json found = parse_bounded(list), words = parse_bounded(deployment_words);
  const Json items = member_of(found, "items"), labels = object_or_empty(member_of(words, "labels"));
  if (!items.is_array()) return fail(ErrorKind::Malformed, "the list of Services cannot be read");
  Selecting out;
  for (const Json& service : items) {
    const Json selector = object_or_empty(member_of(member_of(service, "spec"), "selector"));
    const bool all = std::all_of(selector.items().begin(), selector.items().end(), [&](const auto& wanted) {
      return member_of(labels, wanted.key().c_str()) == wanted.value();
    });
    if (all && !selector.empty()) out.services.push_back(text_of(member_of(service, "metadata"), "name"));
  }
  out.next = text_of(member_of(found, "metadata"), "continue");
  return out;
}

}  // namespace mo::evidence
