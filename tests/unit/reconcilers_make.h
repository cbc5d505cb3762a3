// Observed states to decide on, built from structs: Model m in namespace ns with versions m-v1, m-v2, m-v3.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "operator/json/json.h"
#include "reconcilers/common/names.h"
#include "reconcilers/common/observed.h"
#include "reconcilers/common/side.h"
#include "reconcilers/serving/render.h"

namespace mo::test {

inline const TimePoint kNow = *parse_time("2026-11-22T09:00:00Z");
inline const serving::Settings kSettings{"operator:1"};

inline api::ObjectMeta meta(const std::string& name) {
  api::ObjectMeta m;
  m.key = {"ns", name};
  m.uid = "uid-" + name;
  m.resource_version = "1";
  m.generation = 1;
  m.created = kNow;
  return m;
}

inline api::Step weight(int w) {
  api::Step step;
  step.weight = w;
  return step;
}
inline api::Step pause(std::optional<Duration> duration) {
  api::Step step;
  step.pause = api::Step::Pause{duration};
  return step;
}
inline api::Step gates(std::vector<std::string> names) {
  api::Step step;
  step.gates = std::move(names);
  return step;
}
inline api::Step background(std::vector<std::string> names) {
  api::Step step;
  step.background = std::move(names);
  return step;
}

inline api::RolloutPolicy policy() {
  api::RolloutPolicy p;
  api::Gate accuracy;
  accuracy.name = "accuracy";
  accuracy.prometheus_query = "accuracy";
  accuracy.min = Decimal::parse("0.9");
  api::Gate recorded;
  recorded.name = "recorded";
  recorded.version_metric = "f1";
  recorded.min = Decimal::parse("0.9");
  p.gates = {accuracy, recorded};
  p.steps = {weight(10), pause(std::chrono::minutes(1)), gates({"accuracy"}), weight(50)};
  return p;
}

struct Scene {
  Scene() {
    model.meta = meta("m");
    model.track = "Pinned";
    model.version = "m-v1";
    model.replicas = 2;
    model.rollout = policy();
    auto runtime = std::make_shared<api::ModelRuntime>();
    runtime->meta = meta("rules");
    runtime->formats = {{"rules", "1"}};
    runtime->pod_template = R"({"spec": {"containers": [{"name": "server", "image": "s"}]}})";
    o.runtimes = {runtime};
    for (const char* name : {"m-v1", "m-v2", "m-v3"}) version(name);
  }

  api::ModelVersion& version(const std::string& name, const std::string& of = "m") {
    auto v = std::make_shared<api::ModelVersion>();
    v->meta = meta(name);
    v->model = of;
    v->artifact = {"http://store/" + name, "sha256:" + name, {"rules", "1"}};
    if (of == "m") o.versions.push_back(v);
    o.named[name] = v;
    return *v;
  }

  api::ModelRollout& rollout(const std::string& name, const std::string& to, const std::string& origin = "") {
    auto r = std::make_shared<api::ModelRollout>();
    r->meta = meta(name);
    r->model = "m";
    r->version = to;
    r->origin = origin;
    o.rollouts.push_back(r);
    return *r;
  }
  // As the operator leaves it once it runs.
  api::ModelRollout& running(const std::string& name, const std::string& to,
                             const std::string& origin = "spec") {
    api::ModelRollout& r = rollout(name, to, origin);
    r.status.phase = "Progressing";
    r.status.started = kNow;
    r.status.step_started = kNow;
    r.status.step_index = 1;
    r.status.step_count = static_cast<int>(model.rollout.steps.size());
    r.status.step_generation = 1;
    r.status.from_version = model.status.stable_version;
    r.status.policy = model.rollout;
    return r;
  }

  // What serves, and what a rollout under way brings, is of an operator that knew no revisions; a first version on its way by itself is not.
  bool labelled() const { return model.status.stable_version.empty() && o.rollouts.empty(); }

  Result<serving::Rendered> rendered(const std::string& version, bool in_place = false) const {
    const auto revision = serving::make_revision(model, *o.named.at(version), *o.runtimes[0], kSettings, !labelled());
    if (!revision) return fail(revision.error());
    return serving::render_deployment(model, version, *revision, {}, in_place);
  }

  // A Deployment with so many pods, all ready, of the template that is wanted.
  api::Deployment& deployment(const std::string& version, int replicas) {
    auto d = std::make_shared<api::Deployment>();
    d->meta = meta(deployment_name("m", version));
    d->meta.controller_uid = "uid-m";
    d->model = "m";
    d->version = version;
    d->replicas = d->status_replicas = d->updated_replicas = d->ready_replicas = d->available_replicas =
        replicas;
    d->observed_generation = 1;
    const auto body = rendered(version);
    if (body && labelled()) d->revision = body->body["metadata"]["labels"][api::kLabelRevision];
    o.deployments[d->meta.key.name] = {d, body ? body->hash : ""};
    return *d;
  }

  // The Model's Service; "" selects every version.
  void service(const std::string& version) {
    auto s = std::make_shared<api::Service>();
    s->meta = meta("m");
    s->meta.controller_uid = "uid-m";
    s->selector = {{api::kLabelModel, "m"}};
    if (!version.empty()) s->selector[api::kLabelVersion] = version;
    const auto deployment = o.deployments.find(deployment_name("m", version));
    const std::string revision = labelled() && deployment != o.deployments.end() ? deployment->second.object->revision : "";
    if (!revision.empty()) s->selector[api::kLabelRevision] = revision;
    o.services["m"] = {s, serving::render_service(model, "m", side_of(version, revision)).hash};
  }

  // `version` serves by the spec's wish.
  Scene& serving(const std::string& version) {
    model.status.stable_version = version;
    model.status.spec_version = model.version.value_or("");
    model.status.spec_revision = "?";
    model.status.intent = {version, "Spec", "", "Succeeded", "", "", kNow};
    deployment(version, model.replicas);
    service(version);
    return *this;
  }

  const Observed& observed() {
    o.key = {"ns", "m"};
    o.model = std::make_shared<api::Model>(model);
    return o;
  }

  api::Model model;
  Observed o;
};

// Version `alias` of registered model fraud is imported into a claim.
inline api::Trigger mlflow_trigger() {
  api::Trigger trigger;
  trigger.name = "champion";
  trigger.mlflow.emplace();
  trigger.mlflow->url = "https://mlflow.example";
  trigger.mlflow->model = "fraud";
  trigger.mlflow->alias = "champion";
  trigger.mlflow->claim = "models";
  return trigger;
}

}  // namespace mo::test
