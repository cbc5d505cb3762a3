#include "reconcilers/model/revisions.h"

#include <algorithm>

#include "reconcilers/common/names.h"
#include "reconcilers/common/side.h"

namespace mo::model {
namespace {

struct Sources {
  Ref<api::ModelVersion> version;
  Ref<api::ModelRuntime> runtime;
};

std::optional<Sources> sources_of(const Observed& o, const std::string& version) {
  const Ref<api::ModelVersion> record = o.version(version);
  if (!record || !o.model->problem.empty()) return {};
  Result<Ref<api::ModelRuntime>> runtime = serving::choose_runtime(*o.model, record->artifact.format, o.runtimes);
  if (!runtime) return {};
  return Sources{record, std::move(*runtime)};
}

// Of that version and nobody else's side; the one of its own name first.
const api::Deployment* deployment_of(const Observed& o, const std::string& version) {
  const auto own = o.deployments.find(deployment_name(o.key.name, version));
  if (own != o.deployments.end() && own->second.object->version == version) return own->second.object.get();
  for (const auto& [name, owned] : o.deployments)
    if (owned.object->version == version) return owned.object.get();
  return nullptr;
}

// A version that serves, or is kept warm, has the Deployment of its own name; another template of it gets one of its own.
bool own_name_taken(const api::ModelStatus& status, const std::string& version) {
  return version == status.stable_version || std::find(status.warm.begin(), status.warm.end(), version) != status.warm.end();
}

// Of its names the one by which it is known already: what an operator of before made, let through and kept warm under it still counts.
const std::string& known_as(const Observed& o, const std::string& version, const std::vector<std::string>& names) {
  const auto is_known = [&](const std::string& name) {
    const auto bears = [&](const auto& named) { return named.second.object->version == version && named.second.object->revision == name; };
    const auto is = [&](const std::string& of, const std::optional<api::Revision>& revision) { return of == version && revision && revision->name == name; };
    return std::any_of(o.deployments.begin(), o.deployments.end(), bears) || std::any_of(o.rollouts.begin(), o.rollouts.end(), [&](const auto& r) {
             return is(r->version, r->status.revision) || is(r->status.from_version, r->status.from_revision);
           });
  };
  if (names.size() == 1) return names.front();
  const auto known = std::find_if(names.begin(), names.end(), is_known);
  return known == names.end() ? names.front() : *known;
}

Result<api::Revision> make_known(const Observed& o, const Sources& sources, const std::string& version, const serving::Settings& settings, bool unlabelled) {
  Result<api::Revision> made = serving::make_revision(*o.model, *sources.version, *sources.runtime, settings, unlabelled);
  if (!made || unlabelled) return made;
  const std::vector<std::string> names = serving::revision_names(*o.model, *sources.version, *sources.runtime);
  if (names.size() < 2) return made;
  api::Revision named = *made;
  named.name = known_as(o, version, names);
  return named.name == made->name ? made : serving::make_revision_as(*o.model, *sources.version, *sources.runtime, settings, named);
}

}  // namespace

std::optional<std::string> asked_revision(const Observed& o, const std::string& version) {
  const auto sources = sources_of(o, version);
  if (!sources) return {};
  const std::vector<std::string> names = serving::revision_names(*o.model, *sources->version, *sources->runtime);
  return names.empty() ? std::nullopt : std::optional(known_as(o, version, names));
}

api::Revision taken_over(const Observed& o, const std::string& version) {
  api::Revision revision;
  revision.deployment = deployment_name(o.key.name, version);
  revision.asked = serving::asked_of(*o.model);
  revision.unpinned = !o.model->pin_config;
  const api::Deployment* there = deployment_of(o, version);
  if (there) revision.deployment = there->meta.key.name;
  revision.unlabelled = !there || there->revision.empty();
  revision.name = revision.unlabelled ? asked_revision(o, version).value_or("") : there->revision;
  return revision;
}

bool serves_as_asked(const Observed& o, const api::ModelStatus& status, const std::string& version) {
  if (version.empty() || version != status.stable_version) return false;
  if (!status.stable_revision) return true;
  const std::string& name = status.stable_revision->name;
  const auto sources = sources_of(o, version);
  const auto asked = asked_revision(o, version);
  if (!asked) return status.stable_revision->asked == serving::asked_of(*o.model);
  return name.empty() || *asked == name || serving::is_revision(name, *o.model, *sources->version, *sources->runtime);
}

bool serves_as_asked(const Observed& o, const api::ModelStatus& status, const api::ModelRollout& r) {
  if (r.revision.empty()) return serves_as_asked(o, status, r.version);
  return r.version == status.stable_version && status.stable_revision && status.stable_revision->name == r.revision;
}

const api::Served* on_record(const api::ModelStatus& status, const std::string& version, const std::string& revision) {
  const auto& before = status.previous;
  const bool found = before && before->version == version && before->revision.name == revision && !before->revision.pod_template.empty();
  return found ? &*before : nullptr;
}

void take_over(api::ModelStatus& status, const std::string& version, const std::string& digest, api::Revision revision, bool back) {
  if (back || status.stable_version.empty() || !status.stable_revision)
    status.previous.reset();
  else
    status.previous = api::Served{status.stable_version, status.stable_digest, *status.stable_revision};
  status.stable_version = version;
  status.stable_digest = digest;
  status.stable_revision = std::move(revision);
}

AskedNow asked_now(const Observed& o, const api::ModelStatus& status) {
  const Ref<api::ModelVersion> record = o.version(status.stable_version);
  if (!record || !o.model->problem.empty()) return {};
  const Result<Ref<api::ModelRuntime>> runtime = serving::choose_runtime(*o.model, record->artifact.format, o.runtimes);
  if (!runtime) return {"RuntimeNotFound", runtime.error().message + "; " + status.stable_version + " keeps serving unchanged", ""};
  const Result<std::string> asked = serving::revision_name(*o.model, *record, **runtime);
  if (!asked) return {"InvalidTemplate", asked.error().message + "; " + status.stable_version + " keeps serving unchanged", ""};
  const auto& stable = status.stable_revision;
  if (!stable || stable->name.empty() || stable->name == *asked || stable->asked != serving::asked_of(*o.model)) return {};
  if (serving::is_revision(stable->name, *o.model, *record, **runtime)) return {};
  return {"", "", "ModelRuntime " + (*runtime)->meta.key.name + " has changed since " + status.stable_version +
                      " was rolled out: the next rollout uses the change; run kubectl model refresh " + o.key.name + " to start one now"};
}

std::optional<api::Revision> brought_by(const Observed& o, const api::ModelRollout& r, const api::ModelStatus& status,
                                        const serving::Settings& settings) {
  if (r.status.revision) return r.status.revision;
  if (!r.revision.empty()) {
    const api::Served* before = on_record(status, r.version, r.revision);
    return before ? std::optional(before->revision) : std::nullopt;
  }
  const auto sources = sources_of(o, r.version);
  if (!sources) return {};
  const std::string own = deployment_name(o.key.name, r.version);
  const auto there = o.deployments.find(own);
  // It began under an operator that knew no revisions.
  const bool unlabelled = r.status.started && r.version != status.stable_version && there != o.deployments.end() &&
                          there->second.object->revision.empty();
  Result<api::Revision> revision = make_known(o, *sources, r.version, settings, unlabelled);
  if (!revision) return {};
  if (unlabelled) revision->pod_template.clear();
  // One that was kept warm with this very template takes over as it is.
  const bool warm = r.version != status.stable_version && there != o.deployments.end() && there->second.object->revision == revision->name;
  if (!warm && own_name_taken(status, r.version)) revision->deployment = own + "-" + revision->name;
  return std::move(*revision);
}

std::optional<api::Revision> first_revision(const Observed& o, const std::string& version, const serving::Settings& settings) {
  const auto sources = sources_of(o, version);
  if (!sources) return {};
  Result<api::Revision> revision = make_known(o, *sources, version, settings, false);
  return revision ? std::optional(std::move(*revision)) : std::nullopt;
}

std::string candidate_side(const std::string& version, const std::optional<api::Revision>& revision, const api::ModelStatus& status) {
  // Without a template that can be used there are no pods of it: it is nobody's side yet.
  if (!revision && version == status.stable_version && !version.empty()) return side_of(version, "?");
  return side_of(version, revision);
}

}  // namespace mo::model
