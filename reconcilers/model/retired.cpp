#include "reconcilers/model/retired.h"

#include "operator/core/text.h"
#include "reconcilers/audit/retention.h"
#include "reconcilers/audit/trail.h"
#include "reconcilers/common/status_write.h"
#include "reconcilers/history/history.h"
#include "reconcilers/model/status.h"
#include "reconcilers/rollout/advance.h"
#include "reconcilers/rollout/status.h"
#include "reconcilers/training/mirror.h"
#include "reconcilers/serving/retired_route.h"
#include "reconcilers/serving/route.h"
#include "reconcilers/training/run.h"
#include "reconcilers/training/workload.h"
#include "reconcilers/version/phase.h"

namespace mo::model {
namespace {

constexpr size_t kLongestMessage = 1024;

class Retiring {
 public:
  Retiring(const Observed& o, const lifecycle::Decision& decision, TimePoint now, const serving::Settings& settings)
      : o_(o), m_(*o.model), decision_(decision), settings_(settings), now_(now), status_(o.model->status), route_(serving::retire_route(o)) {}

  Plan run() {
    status_.lifecycle = decision_.status;
    forget_what_was_under_way();
    training::Mirrored mirrored = training::mirror(o_, {.retired = true}, settings_, now_);
    status_.retraining.mirror = mirrored.status;
    write_model();
    for (const auto& r : o_.rollouts) end_rollout(*r);
    for (const auto& run : o_.runs) cancel(*run);
    write_versions();
    take_down();
    if (settings_.audit.on) append(plan_.actions, audit::seal(o_, status_.audit, settings_.audit));
    append(plan_.actions, history::prune(o_, status_, "", false));
    if (!route_refused().empty()) plan_.actions.push_back(*route_);
    if (settings_.audit.on) prune_records();
    rest_.take(std::move(mirrored));
    rest_.take(Part(decision_));
    append(plan_.actions, std::move(rest_.actions));
    plan_.asks = std::move(rest_.asks);
    plan_.events = std::move(rest_.events);
    for (const Action& action : plan_.actions) plan_.at_once |= std::holds_alternative<WriteStatus>(action);
    if (rest_.look_again) plan_.requeue_after = std::max(Duration(0), *rest_.look_again - now_);
    return std::move(plan_);
  }

 private:
  void prune_records() {
    append(plan_.actions, audit::prune(o_, &status_.audit, settings_.audit, now_));
    rest_.look_again_at(audit::prunes_next(o_, settings_.audit, now_));
    if (auto event = audit::tell_stopped(o_, audit::stopped(o_, settings_.audit, now_))) rest_.events.push_back(std::move(*event));
  }

  // What failed stays on record, so that a Model that comes back does not try it again by itself. What was under way is
  // decided anew.
  void forget_what_was_under_way() {
    status_.candidate_version.clear();
    status_.rollout.clear();
    status_.warm.clear();
    status_.monitors.clear();
    if (status_.retraining.run) {
      status_.retraining.run.reset();
      status_.retraining.last_result = "cancelled: the Model is retired";
      status_.retraining.last_finished = now_;
    }
    if (!under_way(status_.intent)) return;
    status_.spec_version.clear();
    status_.spec_revision.clear();
    status_.intent = status_.stable_version.empty() ? api::Intent{}
                                                    : api::Intent{status_.stable_version, status_.intent.origin, "", "Succeeded", "", "", now_};
  }

  void write_model() {
    if (!settings_.installation.name.empty()) status_.handled_by = settings_.installation.name;
    if (settings_.audit.on) status_.audit = audit::record({.observed = o_, .next = status_, .settings = &settings_.audit}, now_);
    const SpecVersion spec;
    Findings findings{.observed = o_, .spec = spec, .status = status_};
    findings.lifecycle = &decision_;
    findings.refused = route_refused();
    if (settings_.audit.on) findings.retention_stopped = audit::stopped(o_, settings_.audit, now_);
    const Json next = render_status(findings, now_);
    write_status(plan_.actions, Kind::Model, m_.meta, m_.status.raw, next.dump(), next["message"].get<std::string>());
  }

  void end_rollout(const api::ModelRollout& r) {
    if (r.meta.deleting || (rollout::is_over(r.status.phase) && r.status.observed_generation == r.meta.generation)) return;
    api::RolloutStatus next = r.status;
    next.observed_generation = r.meta.generation;
    if (!rollout::is_over(r.status.phase)) {
      next.phase = "Aborted";
      next.message = "Model " + r.model + " is retired. Set spec.lifecycle.stage to another stage, then create a new ModelRollout";
      next.finished = now_;
      next.candidate_weight = 0;
      next.stable_weight = next.from_version.empty() ? 0 : 100;
      next.paused_at.reset();
      next.waiting_since.reset();
      next.pause_reason.clear();
      next.ending = api::Ending{"Aborted", "ModelRetired", next.message, now_};
    }
    write_status(plan_.actions, Kind::ModelRollout, r.meta, r.status.raw, rollout::render_status(r, next, {}, "", now_).dump(),
                 next.phase + ": " + next.message);
  }

  // Experiments of people, too: what they make could not serve.
  void cancel(const api::TrainingRun& run) {
    if (run.meta.deleting || api::is_over(run)) return;
    api::TrainingRunStatus next = run.status;
    next.observed_generation = run.meta.generation;
    const std::string why = "Model " + run.model + " is retired";
    training::WorkloadCleanup cleanup = training::end_workloads(o_, run, {}, now_);
    if (!cleanup.waits_for.empty()) {
      append(workloads_, std::move(cleanup.actions));
      rest_.take(std::move(cleanup));
      next.message = "ends as Cancelled: " + why + "; " + cleanup.waits_for + " is being deleted";
    } else {
      next.phase = "Cancelled";
      next.message = cleanup.left.empty() ? why : whole_characters(why + "; " + cleanup.left, kLongestMessage);
      if (!next.finished) next.finished = now_;
    }
    write_status(plan_.actions, Kind::TrainingRun, run.meta, run.status.raw, training::render_status(run, next, now_).dump(),
                 next.phase + ": " + next.message);
  }

  void write_versions() {
    version::Role role;
    role.stable = m_.status.stable_version;  // whether its record said so yet or not
    role.retired = true;
    for (const auto& v : o_.versions) {
      if (v->meta.deleting || v->meta.uid.empty()) continue;
      const auto next = version::next_status(*v, role, o_, now_);
      if (next) write_status(plan_.actions, Kind::ModelVersion, v->meta, v->status_raw, next->dump(), (*next)["phase"].get<std::string>());
    }
  }

  // Callers first: they are told by an answer that nobody is there, and not by connections that break.
  void take_down() {
    if (take_down_route()) {
      remove(Kind::HorizontalPodAutoscaler, o_.autoscalers);
      remove(Kind::Service, o_.services);
      remove(Kind::Deployment, o_.deployments);
    }
    for (const auto& [name, job] : o_.jobs)
      if (!job->complete && !job->failed) remove(Kind::Job, job->meta);
    append(plan_.actions, std::move(workloads_));
  }

  // False: gateways may still send callers to pods.
  bool take_down_route() {
    const bool kept = serving::keeps_route(m_), refused = !route_refused().empty();
    if (route_ && !refused) plan_.actions.push_back(*route_);
    for (const auto& [name, owned] : o_.routes)
      if (!kept || name != o_.key.name) remove(Kind::HttpRoute, owned.object->meta);
    if (!kept || refused) return true;
    const serving::RouteView view = serving::view_route(o_, now_);
    rest_.look_again_at(view.calm_at);
    rest_.look_again_at(view.problem_at);  // a filter that its gateway does not know
    return !route_ && !view.calm_at;
  }

  // What the API server had against the route that is wanted now.
  std::string route_refused() const {
    for (const Refusal& refusal : o_.refusals)
      if (route_ && refusal.target == route_->target && refusal.body_hash == route_->hash) return refusal.target.to_string() + ": " + refusal.error.message;
    return "";
  }

  template <class T>
  void remove(Kind kind, const std::map<std::string, Owned<T>>& objects) {
    for (const auto& [name, owned] : objects)
      if (owned.object->meta.controller_uid == m_.meta.uid) remove(kind, owned.object->meta);
  }
  void remove(Kind kind, const api::ObjectMeta& meta) {
    if (!meta.deleting) plan_.actions.push_back(Delete{{kind, meta.key}, meta.uid, "the Model is retired", meta.resource_version});
  }

  const Observed& o_;
  const api::Model& m_;
  const lifecycle::Decision& decision_;
  const serving::Settings& settings_;
  TimePoint now_;
  api::ModelStatus status_;
  const std::optional<Apply> route_;  // what its HTTPRoute still has to say
  std::vector<Action> workloads_;  // deletes of what trains
  Part rest_;                      // beside what is taken down, last
  Plan plan_;
};

}  // namespace

Plan retire(const Observed& observed, const lifecycle::Decision& decision, TimePoint now, const serving::Settings& settings) {
  return Retiring(observed, decision, now, settings).run();
}

}  // namespace mo::model
