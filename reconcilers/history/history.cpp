#include "reconcilers/history/history.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "reconcilers/common/names.h"
#include "reconcilers/rollout/advance.h"

namespace mo::history {
namespace {

class Pruning {
 public:
  Pruning(const Observed& o, const api::ModelStatus& status, const std::string& spec_version)
      : o_(o), m_(*o.model), status_(status), spec_version_(spec_version) {}

  std::vector<Action> run() {
    prune_rollouts();
    prune_runs();
    if (!awaits_result()) prune_versions();
    return std::move(actions_);
  }

 private:
  bool full() const { return actions_.size() >= kMostAtOnce; }

  template <class T>
  void remove(Kind kind, const T& object, const std::string& why) {
    actions_.push_back(Delete{{kind, object.meta.key}, object.meta.uid, why, object.meta.resource_version});
  }

  // ---- rollouts ----

  static bool finished(const api::ModelRollout& r) {
    return rollout::is_over(r.status.phase) && r.status.observed_generation == r.meta.generation && !r.meta.deleting;
  }
  // As admission/operator-history.yaml has it.
  bool nobody_writes_again(const api::ModelRollout& r) const {
    const bool made = (r.origin == "spec" || r.origin == "retraining" || r.origin == "monitor") && r.meta.controller_uid == m_.meta.uid;
    return made || r.origin == api::kOriginPlugin || r.origin == api::kOriginArgoCd || r.generated_name;
  }

  bool is_needed(const std::string& rollout) const {
    return rollout == m_.status.intent.rollout || rollout == status_.intent.rollout ||
           rollout == spec_rollout_name(o_.key.name, status_.spec_version, status_.spec_generation);
  }

  void prune_rollouts() {
    std::vector<Ref<api::ModelRollout>> over;
    for (const auto& r : o_.rollouts) (finished(*r) ? over : kept_).push_back(r);
    const auto when = [](const api::ModelRollout& r) {
      return std::make_tuple(r.status.finished.value_or(r.meta.created), std::cref(r.meta.key.name));
    };
    std::sort(over.begin(), over.end(), [&](const auto& a, const auto& b) { return when(*a) > when(*b); });
    size_t promotions = 0;
    std::vector<Ref<api::ModelRollout>> gone;
    for (size_t i = 0; i < over.size(); ++i) {
      const api::ModelRollout& r = *over[i];
      const bool promotion = r.status.phase == "Succeeded" && ++promotions <= kPromotionsKept;
      const bool stays = i < static_cast<size_t>(m_.history.rollouts) || promotion || is_needed(r.meta.key.name) ||
                         !nobody_writes_again(r);
      (stays ? kept_ : gone).push_back(over[i]);
    }
    for (auto r = gone.rbegin(); r != gone.rend(); ++r) {  // the oldest first
      if (full())
        kept_.push_back(*r);
      else
        remove(Kind::ModelRollout, **r, "spec.history.rollouts keeps " + std::to_string(m_.history.rollouts));
    }
  }

  // ---- versions ----

  // ---- training runs ----

  void prune_runs() {
    std::vector<Ref<api::TrainingRun>> over;
    for (const auto& run : o_.runs) {
      const bool under_way = (status_.retraining.run && status_.retraining.run->name == run->meta.key.name) ||
                             (m_.status.retraining.run && m_.status.retraining.run->name == run->meta.key.name);
      const bool nobody_writes_again = run->meta.controller_uid == m_.meta.uid || run->generated_name;
      if (api::is_over(*run) && run->status.observed_generation == run->meta.generation && !run->meta.deleting && !under_way && nobody_writes_again)
        over.push_back(run);
    }
    std::sort(over.begin(), over.end(), [](const auto& a, const auto& b) {
      return std::tie(a->status.finished, a->meta.key.name) > std::tie(b->status.finished, b->meta.key.name);
    });
    for (size_t i = over.size(); i > static_cast<size_t>(m_.history.runs) && !full(); --i)
      remove(Kind::TrainingRun, *over[i - 1], "spec.history.runs keeps " + std::to_string(m_.history.runs));
  }

  // A run may have made the very bits of an old version, and its rollout is yet to name it.
  bool awaits_result() const {
    const auto& under_way = m_.status.retraining.run;
    if (!under_way) return false;
    return std::any_of(o_.runs.begin(), o_.runs.end(), [&](const auto& run) { return run->meta.key.name == under_way->name && run->status.result; });
  }

  std::set<std::string> named() const {
    std::set<std::string> names(status_.warm.begin(), status_.warm.end());
    names.insert({spec_version_, status_.stable_version, status_.spec_version, status_.intent.version, status_.candidate_version,
                  m_.status.stable_version, m_.status.intent.version});
    for (const auto& [name, deployment] : o_.deployments) names.insert(deployment.object->version);
    for (const auto& r : kept_) names.insert({r->version, r->status.from_version});
    return names;
  }

  void prune_versions() {
    std::vector<Ref<api::ModelVersion>> ours;
    for (const auto& v : o_.versions)
      if (v->meta.controller_uid == m_.meta.uid && !v->meta.deleting) ours.push_back(v);
    if (ours.size() <= static_cast<size_t>(m_.history.versions)) return;
    std::sort(ours.begin(), ours.end(), [](const auto& a, const auto& b) {
      return std::tie(a->meta.created, a->meta.key.name) < std::tie(b->meta.created, b->meta.key.name);
    });
    ours.resize(ours.size() - static_cast<size_t>(m_.history.versions));
    const std::set<std::string> named = this->named();
    for (const auto& v : ours) {
      const bool in_use = v->phase == "Serving" || v->phase == "Candidate" || named.count(v->meta.key.name);
      if (full()) return;
      if (!in_use) remove(Kind::ModelVersion, *v, "spec.history.versions keeps " + std::to_string(m_.history.versions));
    }
  }

  const Observed& o_;
  const api::Model& m_;
  const api::ModelStatus& status_;
  const std::string& spec_version_;
  std::vector<Ref<api::ModelRollout>> kept_;
  std::vector<Action> actions_;
};

// An installation whose rights or policies do not let us: not while more than history depends on the end of a plan.
bool refused_before(const Observed& o) {
  return std::any_of(o.refusals.begin(), o.refusals.end(), [](const Refusal& refusal) {
    return (refusal.target.kind == Kind::ModelRollout || refusal.target.kind == Kind::ModelVersion || refusal.target.kind == Kind::TrainingRun) && refusal.body_hash.empty();
  });
}

}  // namespace

std::vector<Action> prune(const Observed& observed, const api::ModelStatus& status, const std::string& spec_version, bool rolling) {
  if (rolling && refused_before(observed)) return {};
  return Pruning(observed, status, spec_version).run();
}

}  // namespace mo::history
