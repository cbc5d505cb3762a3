#include "reconcilers/model/plan.h"

#include <algorithm>

#include "reconcilers/audit/retention.h"
#include "reconcilers/audit/trail.h"
#include "reconcilers/common/refused.h"
#include "reconcilers/governance/policies.h"
#include "reconcilers/history/history.h"
#include "reconcilers/model/decisions.h"
#include "reconcilers/model/retired.h"
#include "reconcilers/model/revisions.h"
#include "reconcilers/model/statuses.h"
#include "reconcilers/model/without_model.h"
#include "reconcilers/runtimes/follow.h"
#include "reconcilers/serving/adopt.h"

namespace mo::model {
namespace {

constexpr size_t kOtherRuns = 20;  // whose statuses one plan writes

class Planner {
 public:
  Planner(const Observed& o, SpecVersion spec, TimePoint now, const Settings& settings) : o_(o), m_(*o.model), settings_(settings), now_(now) {
    d_.spec = std::move(spec);
  }

  Plan run() {
    d_.lifecycle = lifecycle::decide(o_, now_);
    if (d_.lifecycle.retired) return retire(o_, d_.lifecycle, now_, settings_);
    d_.policy = governance::resolve(o_);
    d_.intent = decide_intent(o_, d_.spec, d_.policy, now_);
    if (makes_rollout_first()) return make_rollout_first();
    status().pinned = d_.spec.pinned;
    note_digest();
    d_.monitors = monitors::watch(o_, status().stable_version, now_);
    d_.rollout = roll(o_, d_.intent, d_.spec, d_.policy, d_.monitors.hold, settings_, now_);
    settle_authors();
    note_words();
    follow_runtime();
    retrain();
    serve();
    Part statuses = write_statuses(o_, d_, settings_, now_);
    look_again(statuses.look_again);
    plan_.actions = std::move(statuses.actions);
    append(plan_.events, std::move(statuses.events));
    act();
    merge();
    return std::move(plan_);
  }

 private:
  api::ModelStatus& status() { return d_.status(); }

  // A ModelRollout of the spec runs only once the Model's intent names its UID. It is made first, so that one write puts both on record,
  // and everything else comes after that. One that cannot be made holds nothing up: then the intent is on record without it.
  bool makes_rollout_first() const {
    const bool ours = !m_.status.raw.empty() && (settings_.installation.name.empty() || m_.status.handled_by == settings_.installation.name);
    return d_.intent.rollout_first && ours && !repeats_any(o_.refusals, d_.intent.actions) && !repeats_any(o_.refusals, d_.spec.actions);
  }

  Plan make_rollout_first() {
    append(plan_.actions, std::move(d_.spec.actions));
    append(plan_.actions, std::move(d_.intent.actions));
    plan_.at_once = true;
    return std::move(plan_);
  }

  // ---- what needs more than one part ----

  // Other words for what serves are no rollout. But by them it follows its ModelRuntime: with those of before it would seem to ask for something else, and
  // no patch would reach it.
  void note_words() {
    auto& stable = status().stable_revision;
    if (!stable || stable->name.empty() || d_.rollout.under_way() || under_way(status().intent) || !m_.problem.empty()) return;
    const std::string words = serving::asked_of(m_);
    if (stable->asked != words && serves_as_asked(o_, status(), status().stable_version)) stable->asked = words;
  }

  // The version before did not write it down.
  void note_digest() {
    const auto record = o_.version(status().stable_version);
    if (record && status().stable_digest.empty()) status().stable_digest = record->bits();
  }

  bool rollouts_under_way() const {
    return std::any_of(o_.rollouts.begin(), o_.rollouts.end(), [](const auto& r) { return !rollout::is_over(r->status.phase); });
  }

  // What the spec asks for serves, and nothing else is on its way: who wrote that is no news for a later rollout.
  void settle_authors() {
    const api::Intent& intent = status().intent;
    const bool others = std::any_of(o_.rollouts.begin(), o_.rollouts.end(), [&](const auto& r) {
      return r != d_.intent.active && !r->meta.deleting && !rollout::is_over(r->status.phase);
    });
    if (d_.rollout.under_way() || others || under_way(intent) || intent.outcome != "Succeeded") return;
    if (serves_as_asked(o_, status(), status().stable_version)) status().spec_authors.clear();
  }

  void follow_runtime() {
    const bool busy = d_.rollout.under_way() || under_way(status().intent) || rollouts_under_way();
    if (!busy && !status().stable_version.empty()) d_.runtime.actions = runtimes::follow(o_, status());
  }

  void retrain() {
    const bool pinned = m_.track != "Promoted" && (m_.version || m_.artifact);
    std::vector<std::string>& asked = d_.monitors.retrain;
    // What is being rolled out, or is about to be, may mend it.
    if (under_way(status().intent) || rollouts_under_way()) asked.clear();
    d_.training = training::plan(o_, d_.policy, status().stable_version, pinned, asked, settings_, now_);
    status().retraining = d_.training.status;
    for (api::MonitorStatus& monitor : d_.monitors.status)
      if (d_.training.started && std::find(asked.begin(), asked.end(), monitor.name) != asked.end()) ++monitor.attempts;
    status().monitors = d_.monitors.status;
    d_.mirror = training::mirror(o_, {status().stable_version, status().intent.rollout}, settings_, now_);
    status().retraining.mirror = d_.mirror.status;
  }

  void serve() {
    serving::Wanted wanted;
    static_cast<serving::TrafficTarget&>(wanted) = target();
    wanted.stable = d_.stable_side();
    wanted.candidate = d_.candidate_side();
    wanted.stable_revision = status().stable_revision;
    wanted.candidate_revision = d_.candidate_revision();
    wanted.warm = status().warm;
    wanted.headers = d_.lifecycle.headers;
    wanted.stable_conflict = stable_conflict(o_, status());
    d_.serving = serving::serve(o_, wanted, settings_, now_);
    status().adopted = d_.serving.adopted;
    status().lifecycle = d_.lifecycle.status;
    look_again(governance::too_old_next(o_, status(), now_));
    if (auto notice = governance::evaluation_notice(o_, status(), now_)) plan_.events.push_back(std::move(*notice));
  }

  serving::TrafficTarget target() {
    if (d_.rollout.under_way()) return d_.rollout.advanced->target;
    serving::TrafficTarget target;
    const api::Intent& intent = status().intent;
    if (!d_.rollout.first.empty()) {
      target.weight = 100;
      target.candidate_pods = true;
    } else if (intent.since && !under_way(intent)) {
      target.drain_until = *intent.since + rollout::kDrainLimit;
    }
    return target;
  }

  // ---- the whole ----

  // What follows from statuses. A plan ends at an action that fails, so what was refused before comes last and holds up nothing else:
  // a Job that no quota has room for is no reason not to take traffic back, or not to seal records.
  void act() {
    auto parts = d_.actions();
    const auto refused = std::stable_partition(parts.begin(), parts.end(), [&](const auto* actions) { return !repeats_any(o_.refusals, *actions); });
    for (auto part = parts.begin(); part != refused; ++part) append(plan_.actions, std::move(**part));
    std::vector<Action> sealed = settings_.audit.on ? audit::seal(o_, status().audit, settings_.audit) : std::vector<Action>{};
    const bool not_sealed = repeats_any(o_.refusals, sealed);
    if (!not_sealed) append(plan_.actions, std::move(sealed));
    append(plan_.actions, history::prune(o_, status(), d_.spec.name, d_.intent.active != nullptr));
    append(plan_.actions, write_other_runs(d_, kOtherRuns, now_));
    if (settings_.audit.on) {
      append(plan_.actions, audit::prune(o_, &status().audit, settings_.audit, now_));
      look_again(audit::prunes_next(o_, settings_.audit, now_));
    }
    for (auto part = refused; part != parts.end(); ++part) append(plan_.actions, std::move(**part));
    if (not_sealed) append(plan_.actions, std::move(sealed));
  }

  void merge() {
    for (Part* part : d_.parts()) {
      append(plan_.events, std::move(part->events));
      append(plan_.asks, std::move(part->asks));
      look_again(part->look_again);
    }
    // What was written leads to the next step, and the watch doesn't tell us of our own writes.
    plan_.at_once = std::any_of(plan_.actions.begin(), plan_.actions.end(), [](const Action& action) {
      const auto* status = std::get_if<WriteStatus>(&action);
      return !status || !status->may_wait;
    });
    if (look_again_) plan_.requeue_after = std::max(Duration(0), std::chrono::duration_cast<Duration>(*look_again_ - now_));
    if (plan_.actions.empty()) return;
    for (const auto& runtime : o_.runtimes)
      if (runtime->update.automatic && settings_.installation.operator_class.empty()) plan_.others.push_back(runtime->meta.key);
  }

  void look_again(const std::optional<TimePoint>& at) { sooner(look_again_, at); }

  const Observed& o_;
  const api::Model& m_;
  const Settings& settings_;
  const TimePoint now_;
  Decisions d_;
  std::optional<TimePoint> look_again_;
  Plan plan_;
};

}  // namespace

Plan plan(const Observed& observed, TimePoint now, const Settings& settings) {
  if (!observed.model) return plan_without_model(observed, now, settings.audit);
  switch (handling(*observed.model, settings.installation)) {
    case Handling::Ours:
      break;
    case Handling::ToRelease:
      return release(*observed.model);
    case Handling::OfAnotherClass:
    case Handling::OfAnother:
      return {};
  }
  if (observed.model->meta.deleting) return serving::give_back(observed, now);  // its owner references take down the rest
  SpecVersion spec = resolve_spec(observed);
  const std::optional<Observed> registered = with_registered(observed, spec, now);
  return Planner(registered ? *registered : observed, std::move(spec), now, settings).run();
}

}  // namespace mo::model
