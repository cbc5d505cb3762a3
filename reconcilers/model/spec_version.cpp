#include "reconcilers/model/spec_version.h"

#include <memory>

#include "operator/api/parse.h"
#include "operator/api/statuses.h"
#include "operator/json/json.h"
#include "reconcilers/common/names.h"
#include "reconcilers/common/object.h"

namespace mo::model {
namespace {

Json render_inline_version(const api::Model& model, const std::string& name) {
  Json version = object_of(model, Kind::ModelVersion, name);
  if (!model.about.changed_by.empty()) version["metadata"]["annotations"][api::kAnnotationChangedBy] = model.about.changed_by;
  version["spec"] = {{"modelRef", {{"name", model.meta.key.name}}}, {"artifact", to_json(*model.artifact)}};
  if (!model.parts.empty()) version["spec"]["parts"] = to_json(model.parts);
  return version;
}

// The bits are the same, or the record would have another name.
std::string differs_from_spec(const api::ModelVersion& record, const api::Model& m) {
  const api::Artifact& artifact = *m.artifact;
  std::string fields;
  const auto add_field = [&](bool differs, const std::string& field) {
    if (differs) fields += (fields.empty() ? "spec." : " and spec.") + field;
  };
  const auto add = [&](bool differs, const char* field) { add_field(differs, "artifact." + std::string(field)); };
  add(record.artifact.digest != artifact.digest, "digest");
  add(record.artifact.uri != artifact.uri, "uri");
  add(!(record.artifact.format == artifact.format), "format");
  add(record.artifact.unpack != artifact.unpack, "unpack");
  add(record.artifact.signature_uri != artifact.signature_uri || record.artifact.public_key != artifact.public_key, "signature");
  add_field(record.parts != m.parts, "parts");
  return "ModelVersion " + record.meta.key.name + " records this artifact and is immutable, but " + fields +
         " of the Model differs: change it back, set spec.version to " + record.meta.key.name +
         " instead of spec.artifact, or register the artifact as a ModelVersion of another name and set spec.version to that";
}

// A tag may move. It is asked for once, and what it says then is in status before anything is registered.
SpecVersion resolve_tag(const Observed& o, const std::string& tag) {
  const api::Model& m = *o.model;
  SpecVersion out;
  out.name = m.status.spec_version;
  out.problem_reason = "ResolvingTag";
  out.problem = "asking the registry for the digest of " + tag;
  const std::string id = "tag/" + m.meta.uid + "/" + hash_of(tag);
  out.asks.push_back({id, AskOutside{AskOutside::What::OciTag, tag, "", ""}});
  const auto answer = o.answers.find(id);
  if (answer == o.answers.end()) return out;
  if (answer->second.text) {
    out.pinned = api::Pinned{m.artifact->uri, *answer->second.text};
    return out;
  }
  out.problem_reason = "TagNotResolved";
  out.problem = "the digest of the tag in spec.artifact.uri is unknown: " + answer->second.problem +
                ". The operator retries; or write the digest in place of the tag: oci://registry/repository@sha256:…";
  return out;
}

}  // namespace

std::string check_owner(const api::ModelVersion& version, const std::string& model) {
  if (version.model == model) return "";
  return "ModelVersion " + version.meta.key.name + " belongs to Model " + version.model + ", not to " + model;
}

Ref<api::Model> with_pinned(const Ref<api::Model>& model) {
  if (!model || !model->artifact || !model->status.pinned || api::tag_of(*model->artifact).empty()) return model;
  auto copy = std::make_shared<api::Model>(*model);
  copy->status.pinned->apply_to(*copy->artifact);
  return copy;
}

SpecVersion resolve_spec(const Observed& o) {
  const api::Model& m = *o.model;
  SpecVersion out;
  if (!m.problem.empty()) {
    out.name = m.status.spec_version;
    out.problem_reason = "InvalidSpec";
    out.problem = m.problem;
    out.pinned = m.status.pinned;  // a mistake elsewhere makes no tag be asked for anew
    return out;
  }
  if (!m.artifact) out.pinned = m.status.pinned;  // for when the same tag is asked for again
  if (!m.version && !m.artifact) return out;
  if (m.artifact)
    if (const std::string tag = api::tag_of(*m.artifact); !tag.empty()) return resolve_tag(o, tag);
  if (m.artifact && m.status.pinned && m.artifact->uri == m.status.pinned->by_digest()) out.pinned = m.status.pinned;
  out.name = m.version ? *m.version : o.version_name(api::bits_of(*m.artifact, m.parts));
  const Ref<api::ModelVersion> record = o.version(out.name);
  if (record) {
    out.problem = check_owner(*record, m.meta.key.name);
    if (!out.problem.empty()) out.problem_reason = "VersionOfAnotherModel";
    // The record of an inline artifact that was mended before it ever served: the same bits, from elsewhere. One that a run
    // registered knows how good they are and where they came from, and stays.
    if (!out.problem.empty() || !m.artifact || (record->artifact == *m.artifact && record->parts == m.parts) || record->meta.deleting || record->phase == "Candidate")
      return out;
    const bool ours = record->meta.controller_uid == m.meta.uid && record->figures().empty() && record->parent.empty();
    if (ours && out.name != m.status.stable_version) {
      out.actions.push_back(Delete{{Kind::ModelVersion, record->meta.key},
                                   record->meta.uid,
                                   "spec.artifact has changed; it is registered again"});
    } else {
      out.problem_reason = "VersionConflict";
      out.problem = differs_from_spec(*record, m);
    }
    return out;
  }
  if (m.version) {
    out.problem_reason = "VersionNotFound";
    out.problem = "ModelVersion " + out.name + " does not exist in namespace " + o.key.ns +
                  ": create it, or change spec.version";
    return out;
  }
  const std::string body = render_inline_version(m, out.name).dump();
  out.actions.push_back(Apply{
      {Kind::ModelVersion, {o.key.ns, out.name}}, body, "", hash_of(body), "register the inline artifact"});
  return out;
}

std::optional<Observed> with_registered(const Observed& observed, const SpecVersion& spec, TimePoint now) {
  for (const Action& action : spec.actions) {
    const auto* apply = std::get_if<Apply>(&action);
    if (!apply || apply->target.kind != Kind::ModelVersion) continue;
    for (const Refusal& refusal : observed.refusals)
      if (refusal.target == apply->target) return {};
    Result<api::ModelVersion> version = api::parse<api::ModelVersion>(apply->body);
    if (!version) return {};
    version->meta.created = now;
    const auto made = std::make_shared<const api::ModelVersion>(std::move(*version));
    Observed with = observed;
    with.versions.push_back(made);
    with.named[made->meta.key.name] = made;
    return with;
  }
  return {};
}

}  // namespace mo::model
