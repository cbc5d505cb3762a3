#include "reconcilers/serving/config.h"

#include <algorithm>

#include "reconcilers/common/side.h"
#include "reconcilers/serving/render.h"
#include "reconcilers/serving/survey.h"

namespace mo::serving {
namespace {

std::string side_of_copy(const api::ConfigMap& copy) { return side_of(copy.copy->version, copy.copy->revision); }

// Its phase tells of the last time: a way back to it that was given up leaves it Rejected.
bool has_served(const Observed& o, const std::string& side) {
  const std::string version = version_of(side);
  const auto record = o.version(version);
  if (!record) return false;
  const bool from = std::any_of(o.rollouts.begin(), o.rollouts.end(), [&](const auto& rollout) {
    return side_of(rollout->status.from_version, rollout->status.from_revision) == side;
  });
  // Of a version that served, which revisions did is known by its rollouts.
  if (from || !revision_of(side).empty()) return from;
  return record->served || record->phase == "Serving" || record->phase == "Superseded";
}

}  // namespace

std::map<std::string, Ref<api::ConfigMap>> copies_of(const Observed& o, const std::string& side) {
  std::map<std::string, Ref<api::ConfigMap>> copies;
  for (const auto& copy : o.copies)  // the oldest is the one that was written first, so that it counts
    if (side_of_copy(*copy) == side && !copy->meta.deleting) copies.try_emplace(copy->copy->source, copy);
  return copies;
}

std::optional<std::string> pin(const Observed& o, const std::string& side, const std::string& source, bool optional, Served& out) {
  const auto known = o.configmaps.find(source);
  const std::string seen = known == o.configmaps.end() ? "" : known->second;
  const std::string id = "config/" + o.model->meta.uid + "/" + side + "/" + source + "/" + seen;
  out.asks.push_back({id, AskConfig{{o.key.ns, source}}});
  const auto answer = o.answers.find(id);
  if (answer == o.answers.end()) return {};
  if (answer->second.text == "null" && !optional) {
    out.problem = "ConfigMap " + source +
                  ", which the pod template references, does not exist: create it, or set optional: true";
    out.problem_reason = "ConfigMapNotFound";
    return {};
  }
  Result<Copied> copy = answer->second.text
                            ? render_copy(*o.model, side, source, seen, *answer->second.text)
                            : Result<Copied>(fail(ErrorKind::Invalid, answer->second.problem));
  if (!copy) {
    out.problem = copy.error().message;
    out.problem_reason = "InvalidTemplate";
    return {};
  }
  const std::string body = copy->body.dump();
  out.actions.push_back(Apply{{Kind::ConfigMap, {o.key.ns, copy->name}}, body, "", hash_of(body),
                              "keep ConfigMap " + source + " for " + version_of(side) + " as it is now"});
  return copy->name;
}

// A version that served may serve again, with the config that it had. One that never did takes it anew if it is
// tried again.
void remove_copies(const Observed& o, const Wanted& wanted, Served& out) {
  for (const auto& copy : o.copies) {
    const std::string side = side_of_copy(*copy);
    const bool runs = side == wanted.stable || side == wanted.candidate || pods_of(o, side).exists;
    const bool needed = runs || (o.model->pin_config && has_served(o, side));
    if (needed || copy->meta.deleting) continue;
    out.actions.push_back(Delete{{Kind::ConfigMap, copy->meta.key}, copy->meta.uid,
                                 copy->copy->version + " needs its ConfigMap " + copy->copy->source + " no longer",
                                 copy->meta.resource_version});
  }
}

}  // namespace mo::serving
