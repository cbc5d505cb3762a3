#include "reconcilers/runtimes/update.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "operator/api/statuses.h"
#include "operator/core/text.h"
#include "operator/json/json.h"
#include "reconcilers/common/conditions.h"
#include "reconcilers/common/status_write.h"
#include "reconcilers/common/intent.h"
#include "reconcilers/rollout/advance.h"
#include "reconcilers/runtimes/follow.h"
#include "reconcilers/serving/render.h"

namespace mo::runtimes {
namespace {

using State = Follower::State;

constexpr size_t kNamed = 20;         // failures in status; there may be as many as there are Models
constexpr size_t kMostRolling = 200;  // as the CRD has it
// How long a rollout takes one of maxConcurrent's places: whoever writes a Model may have its steps last for years.
constexpr Duration kPlaceKept = std::chrono::hours(1);

// After a rollout has succeeded its Model says so a moment later, or has yet to be heard of.
constexpr Duration kHeardOf = std::chrono::seconds(30);

bool can_begin(const api::Model& model, const std::vector<Ref<api::ModelRollout>>& rollouts) {
  // The API server may not have let it make the ModelRollout, by a quota say.
  const bool refused = std::any_of(model.status.conditions.begin(), model.status.conditions.end(), [](const auto& c) {
    return c.type == "Stalled" && c.status == "True" && c.reason == "ApplyRefused";
  });
  return !refused && !under_way(model.status.intent) &&
         std::none_of(rollouts.begin(), rollouts.end(), [](const auto& r) { return !rollout::is_over(r->status.phase); });
}

// A rollout that a runtime began takes a place whatever the runtime says by now: else each edit on the way let as many more begin.
std::optional<State> begun_by_runtime(const std::vector<Ref<api::ModelRollout>>& rollouts, TimePoint now) {
  for (const auto& r : rollouts) {
    if (r->origin != api::kOriginRuntime || r->meta.deleting || rollout::is_over(r->status.phase)) continue;
    const bool slow = r->status.phase == "Paused" || now >= r->status.started.value_or(r->meta.created) + kPlaceKept;
    return slow ? State::Slow : State::Rolling;
  }
  return {};
}

State state_of(const api::Model& model, const api::ModelVersion& version, const api::ModelRuntime& runtime,
               const std::vector<Ref<api::ModelRollout>>& rollouts, TimePoint now) {
  if (const auto begun = begun_by_runtime(rollouts, now)) return *begun;
  const auto refresh = refresh_of(model, model.status, version, runtime, rollouts);
  if (!refresh) return State::Updated;
  if (!refresh->tried) return can_begin(model, rollouts) ? State::Waiting : State::Busy;
  const api::RolloutStatus& tried = refresh->tried->status;
  if (tried.phase == "RolledBack" || tried.phase == "Failed") return State::Failed;
  if (tried.phase == "Succeeded" && now < tried.finished.value_or(now) + kHeardOf) return State::Rolling;
  return rollout::is_over(tried.phase) ? State::Declined : State::Busy;
}

// The least critical first. Who says nothing of it is no less so than low.
int rank(const std::string& tier) { return tier == "high" ? 2 : tier == "medium" ? 1 : 0; }

class Update {
 public:
  Update(const Fleet& fleet, TimePoint now) : f_(fleet), r_(*fleet.runtime), now_(now) {}

  Plan run() {
    for (const Follower& follower : f_.followers) ++count_[follower.state];
    failed_ = count_[State::Failed];
    keep();
    if (failed_ < r_.update.max_failures) grant();
    write();
    plan_.at_once = !plan_.actions.empty();
    if (count_[State::Updated] + failed_ + count_[State::Declined] < static_cast<int>(f_.followers.size())) plan_.requeue_after = kHeardOf;
    return std::move(plan_);
  }

 private:
  // Who may go on: until it is done, cannot, takes too long, follows no longer, or is gone.
  void keep() {
    std::map<std::string, State> states;
    for (const Follower& follower : f_.followers) states[name_of(follower.model)] = follower.state;
    std::set<std::string> granted;
    for (const std::string& name : r_.status.rolling) {
      const auto it = states.find(name);
      if (it == states.end() || (it->second != State::Waiting && it->second != State::Rolling)) continue;
      // After too many failures nobody begins any more.
      if (it->second == State::Waiting && failed_ >= r_.update.max_failures) continue;
      granted.insert(name);
    }
    // Those of before, under another status of the runtime, go on as well.
    for (const Follower& follower : f_.followers)
      if (follower.state == State::Rolling) granted.insert(name_of(follower.model));
    rolling_.assign(granted.begin(), granted.end());
    if (rolling_.size() > kMostRolling) rolling_.resize(kMostRolling);  // many went on at once that had been slow
  }

  void grant() {
    std::vector<const Follower*> waiting;
    for (const Follower& follower : f_.followers)
      if (follower.state == State::Waiting && !std::binary_search(rolling_.begin(), rolling_.end(), name_of(follower.model)))
        waiting.push_back(&follower);
    std::sort(waiting.begin(), waiting.end(), [](const Follower* a, const Follower* b) {
      return std::make_tuple(rank(a->tier), a->model) < std::make_tuple(rank(b->tier), b->model);
    });
    for (const Follower* follower : waiting) {
      if (rolling_.size() >= static_cast<size_t>(r_.update.max_concurrent)) break;
      rolling_.push_back(name_of(follower->model));
    }
    std::sort(rolling_.begin(), rolling_.end());
  }

  std::vector<std::string> failures() const {
    std::vector<std::string> names;
    for (const Follower& follower : f_.followers)
      if (follower.state == State::Failed && names.size() < kNamed) names.push_back(name_of(follower.model));
    return names;
  }

  void write() {
    const int all = static_cast<int>(f_.followers.size()), updated = count_[State::Updated], declined = count_[State::Declined];
    const bool stopped = failed_ >= r_.update.max_failures && failed_ > 0, done = updated + declined == all;
    std::string progress = std::to_string(updated) + " of " + std::to_string(all) + " Models serve the current ModelRuntime";
    if (declined > 0) progress += "; " + std::to_string(declined) + " were aborted or rolled back by users";
    std::string stop;
    if (stopped) {
      for (const std::string& name : failures()) stop += (stop.empty() ? "" : ", ") + name;
      stop = "stopped: the rollout of " + std::to_string(failed_) + " of " + std::to_string(all) + " Models failed (" + stop + "), and update.maxFailures is " +
             std::to_string(r_.update.max_failures) + "; correct the ModelRuntime, raise maxFailures, or run kubectl model refresh for each of them";
      stop = whole_characters(stop, 4096);
    }
    const char* reason = stopped ? "TooManyFailures" : done ? "Updated" : "RollingOut";
    Conditions conditions(r_.status.conditions, r_.meta.generation, now_);
    conditions.set("Ready", {done, reason, stopped ? stop : progress});
    conditions.set("Reconciling", {!done && !stopped, reason, done || stopped ? "" : progress});
    conditions.set("Stalled", {stopped, reason, stop});
    Json status = api::to_json(api::RuntimeStatus{rolling_, conditions.get()});
    status.update({{"observedGeneration", r_.meta.generation},
                   {"following", all},
                   {"updated", updated},
                   {"waiting", all - updated - failed_ - declined},
                   {"failed", failed_},
                   {"declined", declined},
                   {"failures", failures()}});
    if (!write_status(plan_.actions, Kind::ModelRuntime, r_.meta, r_.status.raw, status.dump(), stopped ? stop : progress)) return;
    // They hear of it by nobody else.
    for (const Follower& follower : f_.followers)
      if (std::binary_search(rolling_.begin(), rolling_.end(), name_of(follower.model))) plan_.others.push_back(follower.model);
    if (stopped && !was_stopped()) plan_.events.push_back({{Kind::ModelRuntime, f_.key}, r_.meta.uid, true, reason, stop});
  }

  bool was_stopped() const {
    return std::any_of(r_.status.conditions.begin(), r_.status.conditions.end(),
                       [](const auto& c) { return c.type == "Stalled" && c.status == "True"; });
  }

  const Fleet& f_;
  const api::ModelRuntime& r_;
  TimePoint now_;
  std::map<State, int> count_;
  int failed_ = 0;
  std::vector<std::string> rolling_;
  Plan plan_;
};

}  // namespace

Fleet observe(const Stores& stores, const ObjectKey& key, const Installation& installation, TimePoint now) {
  Fleet fleet{key, stores.runtimes.get(key), {}};
  if (!fleet.runtime || !fleet.runtime->update.automatic) return fleet;
  const auto runtimes = stores.runtimes.all();
  for (const auto& model : stores.models.all()) {
    const api::ModelStatus& status = model->status;
    if (handling(*model, installation) != Handling::Ours || model->meta.deleting || !model->problem.empty() || status.stable_version.empty() ||
        status.lifecycle.stage == "Retired")
      continue;
    const auto version = stores.versions.get({model->meta.key.ns, status.stable_version});
    if (!version) continue;
    const auto chosen = serving::choose_runtime(*model, version->artifact.format, runtimes);
    if (!chosen || (*chosen)->meta.key != key) continue;
    fleet.followers.push_back({state_of(*model, *version, *fleet.runtime, stores.rollouts.of_model(model->meta.key), now), model->meta.key, model->about.risk_tier});
  }
  return fleet;
}

Plan plan(const Fleet& fleet, TimePoint now) {
  if (!fleet.runtime || fleet.runtime->meta.deleting) return {};
  if (fleet.runtime->update.automatic) return Update(fleet, now).run();
  // It was once: nobody counts any more.
  Plan plan;
  const api::ModelRuntime& r = *fleet.runtime;
  Conditions conditions(r.status.conditions, r.meta.generation, now);
  conditions.set("Ready", {true, "OnNextRollout", "each Model uses a change from its next rollout on"});
  conditions.set("Reconciling", {false, "OnNextRollout", ""});
  conditions.set("Stalled", {false, "OnNextRollout", ""});
  Json status = api::to_json(api::RuntimeStatus{{}, conditions.get()});
  status.erase("rolling");  // nobody waits for a turn
  status["observedGeneration"] = r.meta.generation;
  if (r.status.raw != "{}") write_status(plan.actions, Kind::ModelRuntime, r.meta, r.status.raw, status.dump(), "update.policy is OnNextRollout");
  return plan;
}

}  // namespace mo::runtimes
