#include "reconcilers/model/statuses.h"

#include <algorithm>

#include "reconcilers/audit/retention.h"
#include "reconcilers/audit/trail.h"
#include "reconcilers/common/refused.h"
#include "reconcilers/common/status_write.h"
#include "reconcilers/model/revisions.h"
#include "reconcilers/model/status.h"
#include "reconcilers/measure/gates.h"
#include "reconcilers/rollout/status.h"
#include "reconcilers/serving/survey.h"
#include "reconcilers/training/run.h"
#include "reconcilers/version/phase.h"

namespace mo::model {
namespace {

// A Model that cannot get on by itself is looked at again now and then, for what no watch tells.
constexpr Duration kStalledPoll = std::chrono::seconds(30);

template <class Map>
const typename Map::mapped_type* find(const Map& map, const std::string& name) {
  auto it = map.find(name);
  return it == map.end() ? nullptr : &it->second;
}

void write_run(std::vector<Action>& actions, const training::Planned::ChangedRun& told, TimePoint now) {
  const auto& [run, next] = told;
  if (run->meta.deleting) return;
  write_status(actions, Kind::TrainingRun, run->meta, run->status.raw, training::render_status(*run, next, now).dump(), next.phase + ": " + next.message);
}

class Writing {
 public:
  Writing(const Observed& o, Decisions& d, const serving::Settings& settings, TimePoint now)
      : o_(o), m_(*o.model), d_(d), settings_(settings), now_(now), refused_(refused()) {}

  Part run() {
    write_model();
    for (const auto& r : o_.rollouts) write_rollout(*r);
    write_versions();
    if (d_.training.run) write_run(out_.actions, *d_.training.run, now_);
    return std::move(out_);
  }

 private:
  // What the API server said no to, of what this plan would write again.
  std::string refused() {
    for (const Refusal& refusal : o_.refusals) {
      if (told_elsewhere(refusal)) continue;
      for (const auto* actions : d_.actions())
        if (repeats(refusal, *actions)) return refusal.target.to_string() + ": " + refusal.error.message;
    }
    return "";
  }

  bool told_elsewhere(const Refusal& refusal) const {
    const Kind kind = refusal.target.kind;
    const bool trains = (kind == Kind::Job || kind == Kind::TrainingRun || kind == Kind::Workload) &&
                        std::any_of(d_.training.actions.begin(), d_.training.actions.end(), [&](const Action& action) {
                          const auto* apply = std::get_if<Apply>(&action);
                          return apply && apply->target == refusal.target;
                        });
    return trains ||                                                                    // the run's status tells
           repeats(refusal, d_.monitors.jobs) ||                                        // the monitor's does
           repeats(refusal, d_.mirror.actions) ||                                       // the mirror's does
           (kind == Kind::Job && refusal.target.key.name == d_.rollout.job_taken) ||    // as JobNameTaken
           (kind == Kind::Service && d_.serving.problem_reason == "ServiceNameTaken");  // which says more
  }

  bool job_taken() const { return !d_.rollout.job_taken.empty() && d_.rollout.under_way(); }
  rollout::Waiting waits_for_name() const { return {"JobNameTaken", measure::taken_job(d_.rollout.job_taken), true}; }

  void write_model() {
    api::ModelStatus& status = d_.status();
    if (!settings_.installation.name.empty()) status.handled_by = settings_.installation.name;
    if (settings_.audit.on) {
      const api::RolloutStatus* active = d_.rollout.advanced ? &d_.rollout.advanced->status : nullptr;
      status.audit = audit::record({o_, status, d_.intent.active.get(), active, &d_.intent.closed, &settings_.audit}, now_);
    }
    Findings findings = this->findings();
    if (settings_.audit.on) note_audit(findings);
    const Json next = render_status(findings, now_);
    look_again(findings, next);
    std::string text = next.dump();
    if (text == m_.status.raw) return;
    const Result<Json> before = parse_json(m_.status.raw.empty() ? "{}" : m_.status.raw, 1 << 22);
    WriteStatus* write = write_status(out_.actions, Kind::Model, m_.meta, m_.status.raw, std::move(text), next["message"].get<std::string>());
    write->may_wait = before && only_counts_differ(*before, next);
    // That pods have been made which are not ready yet is worth no write of its own, unless they stay so.
    if (write->may_wait && same_but_running(*before, next)) write->patience = kLongestPatience;
  }

  void note_audit(Findings& f) {
    out_.look_again_at(audit::counted_until(d_.status().audit));
    f.retention_stopped = audit::stopped(o_, settings_.audit, now_);
    if (auto event = audit::tell_stopped(o_, f.retention_stopped)) out_.events.push_back(std::move(*event));
  }

  Findings findings() {
    const api::ModelStatus& status = d_.status();
    const bool busy = d_.rollout.under_way() || !d_.rollout.first.empty();
    const AskedNow asked = busy ? AskedNow{} : asked_now(o_, status);
    Findings f{.observed = o_,
               .spec = d_.spec,
               .status = status,
               .candidate = d_.candidate(),
               .stable_side = d_.stable_side(),
               .candidate_side = d_.candidate_side(),
               .rollout_name = status.intent.rollout,
               .runtime_outdated = asked.runtime_outdated,
               .refused = refused_,
               .serve_reason = d_.serving.problem_reason,
               .serve_problem = d_.serving.problem,
               .not_sticky = d_.serving.not_sticky,
               .retraining_reason = d_.training.problem_reason,
               .retraining_problem = d_.training.problem,
               .lifecycle = &d_.lifecycle};
    f.monitors_reason = d_.monitors.problem_reason, f.monitors_problem = d_.monitors.problem;
    if (d_.rollout.under_way()) {
      f.rollout = &d_.rollout.advanced->status;
      f.rollout_name = d_.intent.active->meta.key.name;
    }
    if (f.serve_problem.empty()) f.serve_reason = asked.reason, f.serve_problem = asked.problem;
    if (f.serve_problem.empty()) f.serve_reason = d_.rollout.problem_reason, f.serve_problem = d_.rollout.problem;
    if (const rollout::Waiting* waiting = find(d_.intent.waiting, status.intent.rollout)) f.waiting = *waiting;
    if (job_taken()) f.waiting = waits_for_name();
    return f;
  }

  void look_again(const Findings& f, const Json& status) {
    for (const std::string* side : {&f.stable_side, &f.candidate_side})
      if (const auto fetched = serving::fetching_of(o_, *side).done; fetched && *fetched + m_.rollout.progress_deadline > now_)
        out_.look_again_at(*fetched + m_.rollout.progress_deadline);
    for (const Json& condition : status["conditions"])
      if (condition["type"] == "Stalled" && condition["status"] == "True") out_.look_again_at(now_ + kStalledPoll);
  }

  void write_rollout(const api::ModelRollout& r) {
    const bool over = rollout::is_over(r.status.phase);
    if (r.meta.deleting || (over && r.status.observed_generation == r.meta.generation)) return;
    const std::string& name = r.meta.key.name;
    api::RolloutStatus next = r.status;
    next.observed_generation = r.meta.generation;
    rollout::Waiting waiting;
    const bool active = d_.intent.active && d_.intent.active->meta.key.name == name;
    if (active) {
      next = d_.rollout.advanced->status;
    } else if (const api::RolloutStatus* closed = find(d_.intent.closed, name)) {
      next = *closed;
    } else if (const rollout::Waiting* why = find(d_.intent.waiting, name)) {
      waiting = *why;
      next.phase = "Pending";
    } else if (!over) {
      return;
    }
    if (active && job_taken()) waiting = waits_for_name();
    std::string problem;
    for (const std::string* what : {&refused_, &std::as_const(d_.serving.problem), &std::as_const(d_.rollout.problem)})
      if (active && problem.empty() && waiting.message.empty()) problem = *what;
    const Json status = rollout::render_status(r, next, waiting, problem, now_);
    WriteStatus* write = write_status(out_.actions, Kind::ModelRollout, r.meta, r.status.raw, status.dump(), next.phase + ": " + next.message);
    if (!write || r.status.raw.empty()) return;
    const Result<Json> before = parse_json(r.status.raw, 1 << 22);
    write->may_wait = before && only_counts_differ(*before, status);
  }

  void write_versions() {
    const training::Planned& training = d_.training;
    version::Role role{d_.status().stable_version, "", training.rejected_version, training.rejected_message, training.evaluated_version, training.evaluation};
    // Until the rollout's end is on record its version stays the candidate: only then is it known how it
    // ended.
    for (const auto& r : o_.rollouts)
      if (r->status.started && !rollout::is_over(r->status.phase)) role.candidate = r->version;
    if (d_.intent.active) role.candidate = d_.intent.active->version;
    for (const auto& v : o_.versions) {
      if (v->meta.deleting || v->meta.uid.empty()) continue;
      const auto next = version::next_status(*v, role, o_, now_);
      if (next) write_status(out_.actions, Kind::ModelVersion, v->meta, v->status_raw, next->dump(), (*next)["phase"].get<std::string>());
    }
  }

  const Observed& o_;
  const api::Model& m_;
  Decisions& d_;
  const serving::Settings& settings_;
  const TimePoint now_;
  const std::string refused_;
  Part out_;
};

}  // namespace

bool same_but_running(const Json& a, const Json& b) {
  if (!a.is_object() || !b.is_object()) return false;
  Json x = a, y = b;
  x.erase("replicas");
  y.erase("replicas");
  return x == y;
}

bool only_counts_differ(const Json& a, const Json& b) {
  Json x = a, y = b;
  for (Json* j : {&x, &y})
    if (!j->is_object()) return false;
  if (audit::only_sealed(x.value("audit", Json()), y.value("audit", Json()))) {
    x.erase("audit");
    y.erase("audit");
  }
  for (Json* j : {&x, &y}) {
    // While pods are counted up the message counts too; what people must see at once moves phase or a
    // condition's status or reason.
    for (const char* count : {"replicas", "readyReplicas", "ready", "message"}) j->erase(count);
    if (j->contains("conditions") && (*j)["conditions"].is_array())
      for (Json& c : (*j)["conditions"])
        if (c.is_object()) c.erase("message");
  }
  return x == y;
}

Part write_statuses(const Observed& observed, Decisions& decisions, const serving::Settings& settings, TimePoint now) {
  return Writing(observed, decisions, settings, now).run();
}

std::vector<Action> write_other_runs(const Decisions& decisions, size_t most, TimePoint now) {
  std::vector<Action> actions;
  for (const auto& told : decisions.training.others)
    if (actions.size() < most) write_run(actions, told, now);
  return actions;
}

}  // namespace mo::model
