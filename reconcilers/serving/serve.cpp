#include "reconcilers/serving/serve.h"

#include <algorithm>

#include "reconcilers/common/names.h"
#include "reconcilers/common/side.h"
#include "reconcilers/serving/adopt.h"
#include "reconcilers/serving/config.h"
#include "reconcilers/serving/retired_route.h"
#include "reconcilers/serving/route.h"
#include "reconcilers/serving/survey.h"
#include "reconcilers/serving/unlabelled.h"

namespace mo::serving {
namespace {

using Selected = ServingState::Selected;

class Serve {
 public:
  Serve(const Observed& o, const Wanted& w, const Settings& settings, TimePoint now)
      : o_(o),
        w_(w),
        settings_(settings),
        now_(now),
        state_(survey(o, w.stable, w.candidate, now)),
        n_(o.model->replicas),
        beside_(!w.stable.empty() && !w.candidate.empty()) {
    if (state_.routed) route_ = view_route(o, now);
    state_.candidate_replicas = w.candidate_replicas;
  }

  Served run() {
    adopt();
    const Capacity goal = replicas();
    const bool candidate_wanted =
        !w_.candidate.empty() && (w_.candidate_pods || w_.weight > 0 || w_.draining);
    if (!w_.stable.empty()) deployment(w_.stable, goal.stable, false);
    // With traffic on it the candidate keeps its template: a rolling update has more pods for a while, and
    // more traffic than its weight.
    const bool frozen = w_.draining || state_.selected == Selected::Both || (state_.limit && beside_ && state_.selected == Selected::Candidate);
    if (candidate_wanted && !(w_.draining && !state_.candidate.exists) && told_apart())
      deployment(w_.candidate, goal.candidate, frozen);
    if (state_.routed)
      routed_traffic(candidate_wanted);
    else
      services(candidate_wanted);
    for (const std::string& version : w_.warm)
      keep_warm(version);
    append(downs_);
    if (calm_) remove_the_rest(candidate_wanted);
    remove_copies(o_, w_, out_);
    append(adoption_.actions);  // last, these two: one that the API server refuses holds up nothing else
    autoscaler();
    return std::move(out_);
  }

 private:
  void append(std::vector<Action>& actions) {
    for (Action& action : actions) out_.actions.push_back(std::move(action));
    actions.clear();
  }

  void adopt() {
    if (!o_.model->adopt && !o_.model->status.adopted && !o_.model->meta.held()) return;
    const bool none = w_.stable.empty() && w_.weight <= 0;
    const bool ready = state_.replicas > 0 && (w_.stable.empty() ? state_.candidate_ready_for(100)
                                                             : settled(o_, w_.stable) && state_.stable.ready >= state_.replicas);
    adoption_ = serving::adopt(o_, none ? Successor::None : ready ? Successor::Ready : Successor::Coming, now_);
    out_.adopted = adoption_.status;
    if (!adoption_.problem.empty()) {
      out_.problem = adoption_.problem;
      out_.problem_reason = "AdoptionBlocked";
    }
    out_.asks = std::move(adoption_.asks);  // its actions come last
    out_.look_again = adoption_.look_again;
  }

  Capacity replicas() const {
    if (w_.recreate && !w_.stable.empty() && !w_.candidate.empty()) return recreated();
    if (state_.routed) return routed_replicas();
    if (state_.limit) return limited();
    if (w_.draining) return next_step_back(n_, state_.stable, state_.candidate);
    if (w_.candidate.empty()) return {n_, 0};
    if (w_.stable.empty()) return {0, n_};
    if (w_.weight <= 0) return {n_, std::max(state_.candidate.wanted, capacity_for(n_, w_.warm_for).candidate)};
    if (w_.weight >= 100) return {state_.stable.exists && !(w_.keep_stable && state_.selected == Selected::Candidate) ? state_.stable.wanted : n_, n_};
    const Capacity goal = capacity_for(n_, w_.weight);
    // As long as stable alone is selected it carries everything.
    // It shrinks only once both are, by next_step().
    if (state_.selected != Selected::Both) return {std::max({goal.stable, n_, state_.stable.wanted}), goal.candidate};
    return next_step(goal, w_.weight, state_.stable, state_.candidate);
  }

  Capacity recreated() const {
    const auto gone = [&](const std::string& side) {
      return pods_of(o_, side).running == 0 &&
             std::none_of(o_.pods.begin(), o_.pods.end(),
                          [&](const auto& pod) { return side_of(*pod) == side && !pod->ended; });
    };
    if (w_.draining || w_.weight <= 0) return {gone(w_.candidate) ? n_ : state_.stable.wanted, 0};
    return {0, gone(w_.stable) ? n_ : 0};
  }

  // There is no room for more pods than `limit`.
  Capacity limited() const {
    const bool alone = state_.selected != Selected::Both && state_.selected != Selected::Candidate;
    const PodBudget budget{*state_.limit, n_, state_.elsewhere, !alone};
    if (w_.draining) return next_step_back_within(budget, state_.stable, state_.candidate);
    // Without a rollout whoever is there alone gets what room there is.
    if (w_.candidate.empty()) return {next_step_back_within(budget, state_.stable, {}).stable, 0};
    if (w_.stable.empty()) return {0, next_step_back_within(budget, state_.candidate, {}).stable};
    if (w_.weight <= 0) {
      const int warm = std::min(std::max(state_.candidate.wanted, w_.candidate_pods ? state_.warm_goal(w_.warm_for) : 0),
                                state_.most_warm());  // the Model may have been scaled down since
      return next_step_within(budget, {std::min(n_, budget.limit - warm), warm}, 100, state_.stable, state_.candidate);
    }
    Capacity goal = state_.goal(w_.weight);
    if (w_.weight >= 100) goal.stable = std::min(state_.stable.wanted, budget.limit - n_);
    return next_step_within(budget, goal, w_.weight, state_.stable, state_.candidate);
  }

  // Stable keeps its pods as long as it may get traffic back.
  Capacity routed_replicas() const {
    if (w_.candidate.empty()) return {n_, 0};
    if (w_.stable.empty()) return {0, n_};
    if (w_.draining) return {n_, state_.candidate.wanted};
    if (w_.weight > 0) return {n_, state_.goal(w_.weight).candidate};
    if (w_.candidate_replicas) return {n_, *w_.candidate_replicas};
    return {n_, std::max(state_.candidate.wanted, state_.goal(w_.warm_for).candidate)};
  }

  // Whom the Model's Service should select now. Traffic moves only to pods that are there for it.
  Selected selection() const {
    if (w_.stable.empty()) return Selected::Candidate;
    if (w_.draining || w_.candidate.empty() || w_.weight <= 0) return selected_while_draining();
    if (w_.weight >= 100) {
      if (state_.candidate_ready_for(100)) return Selected::Candidate;
      if (state_.limit && can_share(1)) return Selected::Both;
      return state_.selected == Selected::Nobody ? Selected::Stable : state_.selected;
    }
    const Capacity goal = state_.goal(w_.weight);
    const bool enough = state_.stable.ready >= goal.stable || state_.limit;
    const bool open = state_.selected == Selected::Both || (enough && can_share(state_.limit ? 1 : goal.candidate));
    return open ? Selected::Both : Selected::Stable;
  }

  // The Service may select both from now on. Where room is scarce it does so early: stable gives way only as the
  // candidate serves.
  bool can_share(int candidates) const {
    return state_.candidate_settled && state_.candidate.ready >= candidates &&
           ratio_holds(w_.weight, state_.stable, state_.candidate) && state_.stray.empty() && !candidate_rolls_;
  }

  // To stable alone, which it usually is already; where others have traffic (a rollout ends, or was deleted)
  // once stable can carry it.
  Selected selected_while_draining() const {
    if (state_.selected != Selected::Both && state_.selected != Selected::Candidate) return Selected::Stable;
    const bool enough = state_.stable.ready >= n_;
    const bool waited = w_.drain_until && now_ >= *w_.drain_until && state_.stable.ready > 0;
    const bool others_serve =
        state_.candidate.ready > 0 || std::any_of(o_.pods.begin(), o_.pods.end(), [&](const auto& pod) {
          return pod->ready && side_of(*pod) != w_.stable;
        });
    if (enough || waited || !others_serve) return Selected::Stable;
    const bool grows = state_.limit && w_.draining && state_.stable.ready > 0 && state_.stray.empty();
    return grows ? Selected::Both : state_.selected;  // each pod that is back serves
  }

  void services(bool candidate_wanted) {
    remove_route();
    const Selected selection = this->selection();
    const std::string side = selection == Selected::Both        ? ""
                             : selection == Selected::Candidate ? w_.candidate
                                                                : w_.stable;
    if (!side.empty() || selection == Selected::Both)
      service(o_.key.name, side,
              selection == Selected::Both ? "traffic to " + name(w_.stable) + " and " + name(w_.candidate)
                                          : "traffic to " + name(side) + " alone");
    if (candidate_wanted && !w_.stable.empty() && w_.reach_candidate)
      service(candidate_service_name(o_.key.name), w_.candidate,
              "reach " + name(w_.candidate) + " without traffic");
    else
      remove_service(candidate_service_name(o_.key.name));
  }

  void routed_traffic(bool candidate_wanted) {
    const std::string side = candidate_service_name(o_.key.name);
    const RouteUpdate update = plan_route_update(route_, w_, state_, o_.key.name, candidate_wanted, candidate_rolls_, now_);
    calm_ = update.calm;
    if (update.look_again) look_again(*update.look_again);
    if (!update.main.empty()) service(o_.key.name, update.main, "the stable version is " + name(update.main));
    if (update.side && update.side->empty())
      remove_service(side);
    else if (update.side)
      service(side, *update.side, "route requests to " + name(*update.side));
    if (!update.main.empty()) route(update);
  }

  void route(const RouteUpdate& update) {
    const auto it = o_.routes.find(o_.key.name);
    const bool there = it != o_.routes.end();
    const std::string wish = session_wish(*o_.model);
    bool sticky = wish.empty() || !there || it->second.object->sessions_refused != wish;
    Result<Rendered> rendered = render_route(*o_.model, update.weights, update.rules, sticky, w_.headers);
    if (rendered && sticky && sessions_refused(rendered->hash)) {
      sticky = false;
      rendered = render_route(*o_.model, update.weights, update.rules, sticky, w_.headers);
    }
    if (!rendered) {
      out_.problem = rendered.error().message;
      out_.problem_reason = "InvalidRoute";
      return;
    }
    if (!sticky)
      out_.not_sticky = "the HTTPRoute CRD of this cluster does not have sessionPersistence, so spec.serving.route.sessionPersistence is not in effect: install "
                        "the experimental channel of the Gateway API and remove annotation " + std::string(api::kAnnotationNotSticky) +
                        " from HTTPRoute " + o_.key.name + ", or remove the field";
    if (there && (it->second.applied == rendered->hash || it->second.object->meta.deleting)) return;
    if (answers_for_retired(o_) && route_.main_reaches == 0 && n_ > 0) return;
    std::string why;
    for (const auto& [service, weight] : update.weights)
      why += (why.empty() ? "traffic: " : ", ") + service + " " + std::to_string(weight) + "%";
    if (!update.rules.header_matches.empty()) why += ", matched headers to " + name(w_.candidate);
    if (update.rules.mirrored) why += ", mirrored requests to " + name(w_.candidate);
    apply({Kind::HttpRoute, o_.key}, std::move(*rendered), there ? &it->second.object->meta : nullptr, why);
  }

  // The API server would not have a route of this hash because of its sessionPersistence. What else the route has to say, a way back
  // above all, must not wait until somebody mends that.
  bool sessions_refused(const std::string& hash) const {
    return std::any_of(o_.refusals.begin(), o_.refusals.end(), [&](const Refusal& refusal) {
      return refusal.target == ObjectRef{Kind::HttpRoute, o_.key} && refusal.body_hash == hash &&
             refusal.error.message.find("sessionPersistence") != std::string::npos;
    });
  }

  // One that the spec wants no longer. Its traffic ends with it: whoever removed it from the spec said so.
  void remove_route() {
    const auto it = o_.routes.find(o_.key.name);
    if (it == o_.routes.end() || it->second.object->meta.deleting) return;
    const api::ObjectMeta& meta = it->second.object->meta;
    out_.actions.push_back(
        Delete{{Kind::HttpRoute, o_.key}, meta.uid, "spec.serving.route is gone", meta.resource_version});
  }

  // For people.
  std::string name(const std::string& side) const { return shown(side, side == w_.stable ? w_.candidate : w_.stable); }

  void service(const std::string& name, const std::string& side, const std::string& why) {
    const bool main = name == o_.key.name;
    if (main && adoption_.holds_service) return;
    if (side == w_.candidate && nobodys_yet()) return;
    Rendered rendered = render_service(*o_.model, name, side, template_of_unlabelled(o_, side, w_.candidate));
    auto it = o_.services.find(name);
    const api::ObjectMeta* have = nullptr;
    if (main && !adoption_.service.uid.empty()) have = &adoption_.service;
    if (it != o_.services.end()) {
      if (it->second.applied == rendered.hash || it->second.object->meta.deleting) return;
      have = &it->second.object->meta;
    }
    if (!have) tell_who_has(name);
    if (main && !have) calm_ = false;  // nobody has heard of it yet: those who went by one that is gone keep their pods
    apply({Kind::Service, {o_.key.ns, name}}, std::move(rendered), have, why);
  }

  // A first version that nothing can be rendered from has no revision: a Service of the version alone would lead to whatever pods
  // it gets later, past what tells them apart.
  bool nobodys_yet() const { return w_.stable.empty() && !w_.candidate_revision && !state_.candidate.exists; }

  // The name is taken by somebody else's Service: the API server says so, and a look at that one says whose it is.
  void tell_who_has(const std::string& name) {
    const ObjectRef target{Kind::Service, {o_.key.ns, name}};
    const auto refusal = std::find_if(o_.refusals.begin(), o_.refusals.end(), [&](const Refusal& r) {
      return r.target == target && (r.error.kind == ErrorKind::AlreadyExists || r.error.kind == ErrorKind::Conflict);
    });
    if (refusal == o_.refusals.end()) return;
    Ask ask{"taken/" + o_.model->meta.uid + "/" + name + "/" + std::to_string(refusal->at.time_since_epoch().count()),
            AskAdopted{target.key, target.key}};
    const auto answer = o_.answers.find(ask.id);
    const std::string whose = answer == o_.answers.end() ? "" : owner_of_service(answer->second);
    out_.asks.push_back(std::move(ask));
    out_.problem_reason = "ServiceNameTaken";
    out_.problem = "Service " + name + " already exists and does not belong to this Model" + (whose.empty() ? "" : ", but to " + whose) +
                   ": delete or rename it, or give the Model another name" +
                   (name == o_.key.name ? "; if it selects a Deployment that this Model is to replace, set spec.serving.adopt.name to that Deployment" : "");
  }

  static std::string owner_of_service(const Answer& answer) {
    const Result<Json> found = parse_json(answer.text.value_or("null"), 1 << 20);
    const Json service = found && found->is_object() ? found->value("service", Json()) : Json();
    if (!service.is_object()) return "";
    const std::string controller = service.value("controller", ""), manager = service.value("managedBy", "");
    if (!controller.empty()) return controller;
    return manager.empty() ? "" : manager + " (label app.kubernetes.io/managed-by)";
  }

  void remove_service(const std::string& name) {
    auto it = o_.services.find(name);
    if (it == o_.services.end() || it->second.object->meta.deleting) return;
    const api::ObjectMeta& meta = it->second.object->meta;
    downs_.push_back(
        Delete{{Kind::Service, {o_.key.ns, name}}, meta.uid, "no candidate any more", meta.resource_version});
  }

  // `have`: what is there already, or null.
  void apply(const ObjectRef& target, Rendered rendered, const api::ObjectMeta* have,
             const std::string& why) {
    Apply action{target, {}, {}, rendered.hash, why, {}};
    if (have) {
      rendered.body["metadata"]["uid"] = action.uid = have->uid;
      action.resource_version = have->resource_version;
    }
    action.body = rendered.body.dump();
    out_.actions.push_back(std::move(action));
  }

  // ---- Deployments ----

  // No Service that leads to stable reaches the candidate's pods by itself. As long as not they are not made.
  bool told_apart() {
    const bool alike = w_.candidate != w_.stable && version_of(w_.candidate) == w_.stable;
    const auto service = o_.services.find(o_.key.name);
    if (!alike || service == o_.services.end() || n_ == 0) return true;
    const auto& selector = service->second.object->selector;
    if (side_of(selector) == w_.stable && !selector.count(api::kLabelTemplateHash)) return false;
    if (state_.candidate.exists) return true;
    const auto calm_at = service_calm_at(o_, now_);
    if (calm_at) look_again(*calm_at);
    return !calm_at;
  }

  void keep_warm(const std::string& version) {
    for (const auto& [name, owned] : o_.deployments) {
      const std::string side = side_of(*owned.object);
      if (owned.object->version != version || side == w_.stable || side == w_.candidate || owned.object->meta.deleting) continue;
      scale({Kind::Deployment, {o_.key.ns, name}}, owned, n_);
    }
  }

  const std::optional<api::Revision>& record_of(const std::string& side) const {
    return side == w_.stable ? w_.stable_revision : w_.candidate_revision;
  }

  // By its name: another template of a first version may be about to take it.
  const Owned<api::Deployment>* deployment_named(const std::string& name) const {
    const auto it = o_.deployments.find(name);
    return it == o_.deployments.end() ? nullptr : &it->second;
  }

  // Brings one side's Deployment to its template and size.
  void deployment(const std::string& side, int replicas, bool frozen) {
    const std::string version = version_of(side);
    const auto& record = record_of(side);
    const std::string name = record ? record->deployment : deployment_name(o_.key.name, version);
    const Owned<api::Deployment>* have = deployment_named(name);
    if (have && have->object->meta.deleting) return;  // made again once it is gone
    const ObjectRef ref{Kind::Deployment, {o_.key.ns, name}};
    // What it was made of is not on record, and nobody has changed it since.
    const bool kept = have && record && record->pod_template.empty() && !have->applied.empty();
    if (!have && side == w_.stable && !w_.stable_conflict.empty()) {
      out_.problem = w_.stable_conflict;
      out_.problem_reason = "VersionConflict";
    } else if (!have || (!frozen && !kept)) {
      Result<Rendered> rendered = render(side);
      if (!rendered && rendered.error().kind == ErrorKind::Cancelled) {
        // Its config is yet to be read, or isn't there.
      } else if (!rendered) {
        out_.problem = rendered.error().message;
        out_.problem_reason =
            rendered.error().kind == ErrorKind::NotFound ? "RuntimeNotFound" : "InvalidTemplate";
      } else if (!have || have->applied != rendered->hash) {
        candidate_rolls_ |= have && side == w_.candidate;
        set_replicas(rendered->body, replicas);
        apply(ref, std::move(*rendered), have ? &have->object->meta : nullptr,
              (have ? "bring " : "serve ") + version + (have ? " back to its template" : ""));
        return;
      }
    }
    if (have) scale(ref, *have, replicas);
  }

  void scale(const ObjectRef& ref, const Owned<api::Deployment>& have, int replicas) {
    if (have.object->replicas == replicas) return;
    Scale scale{
        ref, have.object->meta.uid, replicas,
        name(side_of(*have.object)) + " from " + std::to_string(have.object->replicas) + " to " + std::to_string(replicas),
        have.object->meta.resource_version};
    if (replicas > have.object->replicas)
      out_.actions.push_back(std::move(scale));
    else
      downs_.push_back(std::move(scale));  // after the Service has turned away
  }

  // What it is made of as it is on record, else by what the spec says now.
  Result<api::Revision> revision(const std::string& side) {
    const auto& record = record_of(side);
    if (record && !record->pod_template.empty()) return *record;
    const Ref<api::ModelVersion> version = o_.version(version_of(side));
    if (!version) return fail(ErrorKind::Invalid, "ModelVersion " + version_of(side) + " does not exist any more");
    Result<Ref<api::ModelRuntime>> runtime = choose_runtime(*o_.model, version->artifact.format, o_.runtimes);
    if (!runtime) return fail(runtime.error());
    if (!record) return make_revision(*o_.model, *version, **runtime, settings_, revision_of(side).empty());
    // Taken over without its template on record: under a policy, what the spec says by now was not let through.
    const bool governed = std::any_of(o_.policies.begin(), o_.policies.end(), [](const auto& policy) { return policy->enforced; });
    if (governed && record->asked != asked_of(*o_.model))
      return fail(ErrorKind::Invalid, "the pod template of " + version_of(side) + " is not recorded, and spec.serving has changed since: change it back, or wait for the rollout");
    return make_revision_as(*o_.model, *version, **runtime, settings_, *record);
  }

  Result<Rendered> render(const std::string& side) {
    const Result<api::Revision> revision = this->revision(side);
    if (!revision) return fail(revision.error());
    const std::string version = version_of(side);
    std::map<std::string, std::string> copies;
    if (!revision->unpinned)
      for (const auto& [source, copy] : copies_of(o_, side)) copies[source] = copy->meta.key.name;
    const bool in_place = state_.limit && beside_ && side == w_.candidate;
    Result<Rendered> rendered = render_deployment(*o_.model, version, *revision, copies, in_place);
    if (!rendered || rendered->unpinned.empty()) return rendered;
    for (const auto& [source, optional] : rendered->unpinned)
      if (const auto copy = pin(o_, side, source, optional, out_)) copies[source] = *copy;
    rendered = render_deployment(*o_.model, version, *revision, copies, in_place);
    if (rendered && !rendered->unpinned.empty()) return fail(ErrorKind::Cancelled, "");
    return rendered;
  }

  // The autoscaler sets spec.serving.replicas by the Model's scale subresource: how many pods there are in all is its
  // word, how versions share them is ours, so neither gets in the other's way.
  void autoscaler() {
    const ObjectRef ref{Kind::HorizontalPodAutoscaler, o_.key};
    const auto it = o_.autoscalers.find(o_.key.name);
    const api::ObjectMeta* have = it == o_.autoscalers.end() ? nullptr : &it->second.object->meta;
    if (have && have->deleting) return;
    if (!o_.model->autoscaling) {
      if (have)
        out_.actions.push_back(Delete{ref, have->uid, "spec.serving.autoscaling is gone", have->resource_version});
      return;
    }
    Result<Rendered> rendered = render_autoscaler(*o_.model);
    if (!rendered) {
      out_.problem = rendered.error().message;
      out_.problem_reason = "InvalidAutoscaling";
      return;
    }
    if (have && it->second.applied == rendered->hash) return;
    const api::Model::Autoscaling& a = *o_.model->autoscaling;
    apply(ref, std::move(*rendered), have, "scale from " + std::to_string(a.min) + " to " + std::to_string(a.max));
  }

  // Deployments of sides that no longer matter, once no Service sends them anything.
  void remove_the_rest(bool candidate_wanted) {
    const bool everyone = state_.selected == Selected::Both && !state_.routed;
    for (const auto& [name, owned] : o_.deployments) {
      const std::string& version = owned.object->version;
      if (is(name, owned, w_.stable) || (candidate_wanted && is(name, owned, w_.candidate))) continue;
      if (owned.object->meta.deleting || everyone) continue;
      if (std::find(w_.warm.begin(), w_.warm.end(), version) != w_.warm.end()) continue;
      // Nothing serves yet, and this was given up: its pods must not begin to.
      const api::Intent& intent = o_.model->status.intent;
      const bool given_up = w_.stable.empty() && version == intent.version && !intent.outcome.empty();
      auto service = o_.services.find(o_.key.name);
      const bool selected = service != o_.services.end() && side_of(service->second.object->selector) == side_of(*owned.object);
      if (selected && !given_up) continue;
      if (const auto calm_at = given_up || state_.routed ? std::nullopt : service_calm_at(o_, now_)) {
        look_again(*calm_at);
        continue;
      }
      const api::ObjectMeta& meta = owned.object->meta;
      out_.actions.push_back(
          Delete{{Kind::Deployment, meta.key}, meta.uid, version + " serves nobody", meta.resource_version});
    }
  }

  // It is this side's, or about to be.
  bool is(const std::string& name, const Owned<api::Deployment>& owned, const std::string& side) const {
    if (side.empty()) return false;
    const auto& record = record_of(side);
    return side_of(*owned.object) == side || (record && record->deployment == name);
  }

  void look_again(TimePoint at) { out_.look_again_at(at); }

  const Observed& o_;
  const Wanted& w_;
  const Settings& settings_;
  TimePoint now_;
  ServingState state_;
  RouteView route_;
  bool calm_ = true;  // no gateway sends anything to what is not wanted any more; of those who go by a Service see service_calm_at()
  int n_;
  bool beside_;  // two sides share what room there is
  bool candidate_rolls_ = false;  // this plan gives it another template: what is settled now will not be
  std::vector<Action> downs_;
  Adoption adoption_;
  Served out_;
};

}  // namespace

Served serve(const Observed& observed, const Wanted& wanted, const Settings& settings, TimePoint now) {
  return Serve(observed, wanted, settings, now).run();
}

}  // namespace mo::serving
