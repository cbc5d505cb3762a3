#include "reconcilers/common/revision.h"

#include "operator/json/pod_template.h"

namespace mo {
namespace {

// What the operator adds to a template is bounded, too.
constexpr size_t kMostBytes = 4 * kMaxTemplateBytes;

}  // namespace

Json to_json(const api::Revision& revision) {
  Json out = {{"deployment", revision.deployment}};
  if (!revision.name.empty()) out["name"] = revision.name;
  if (revision.unlabelled) out["unlabelled"] = true;
  if (revision.unpinned) out["unpinned"] = true;
  if (!revision.asked.empty()) out["asked"] = revision.asked;
  if (Result<Json> pods = parse_json(revision.pod_template, kMostBytes); !revision.pod_template.empty() && pods && pods->is_object())
    out["template"] = std::move(*pods);
  return out;
}

Json to_json(const api::Served& served) {
  Json out = {{"version", served.version}, {"revision", to_json(served.revision)}};
  if (!served.digest.empty()) out["digest"] = served.digest;
  return out;
}

bool same(const std::optional<api::Revision>& a, const std::optional<api::Revision>& b) {
  return a && b && !a->name.empty() && a->name == b->name;
}

}  // namespace mo
