#include "reconcilers/model/plan.h"

#include <algorithm>
#include <array>

#include "reconcilers/audit/retention.h"
#include "reconcilers/audit/trail.h"
#include "reconcilers/common/job.h"
#include "reconcilers/common/names.h"
#include "reconcilers/common/side.h"
#include "reconcilers/common/status_write.h"
#include "reconcilers/common/way_back.h"
#include "reconcilers/governance/authors.h"
#include "reconcilers/governance/freeze.h"
#include "reconcilers/governance/policies.h"
#include "reconcilers/history/history.h"
#include "reconcilers/lifecycle/lifecycle.h"
#include "reconcilers/lifecycle/retire.h"
#include "reconcilers/model/intent.h"
#include "reconcilers/model/revisions.h"
#include "reconcilers/model/status.h"
#include "reconcilers/model/without_model.h"
#include "reconcilers/monitors/monitors.h"
#include "reconcilers/rollout/advance.h"
#include "reconcilers/rollout/gate_job.h"
#include "reconcilers/rollout/gates.h"
#include "reconcilers/rollout/policy.h"
#include "reconcilers/rollout/status.h"
#include "reconcilers/runtimes/follow.h"
#include "reconcilers/serving/adopt.h"
#include "reconcilers/serving/route.h"
#include "reconcilers/serving/serve.h"
#include "reconcilers/serving/survey.h"
#include "reconcilers/training/training.h"
#include "reconcilers/version/phase.h"

namespace mo::model {
namespace {

// A Model that cannot get on by itself is looked at again now and then, for what no watch tells.
constexpr Duration kStalledPoll = std::chrono::seconds(30);
constexpr size_t kOtherRuns = 20;  // whose statuses one plan writes

template <class Map>
const typename Map::mapped_type* find(const Map& map, const std::string& name) {
  auto it = map.find(name);
  return it == map.end() ? nullptr : &it->second;
}

template <class T>
void append(std::vector<T>& to, std::vector<T> from) {
  for (T& item : from) to.push_back(std::move(item));
}

class Planner {
 public:
  Planner(const Observed& o, TimePoint now, const Settings& settings)
      : o_(o), m_(*o.model), settings_(settings), now_(now) {}

  Plan run() {
    lifecycle_ = lifecycle::decide(o_, now_);
    if (lifecycle_.retired) return lifecycle::retire(o_, lifecycle_, now_, settings_);
    spec_ = resolve_spec(o_);
    policy_ = governance::resolve(o_);
    decided_ = decide_intent(o_, spec_, policy_, now_);
    look_again(decided_.look_again);
    status().pinned = spec_.pinned;
    note_digest();
    watch_monitors();
    advance_rollout();
    take_first_version();
    settle_authors();
    cool_down();
    end_gate_jobs();
    follow_runtime();
    retrain();
    serve();
    write_statuses();
    act();
    append(plan_.events, std::move(decided_.events));
    append(plan_.events, std::move(lifecycle_.events));
    append(plan_.events, std::move(watched_.events));
    append(plan_.events, std::move(training_.events));
    append(plan_.asks, std::move(spec_.asks));
    append(plan_.asks, std::move(lifecycle_.asks));
    append(plan_.asks, std::move(watched_.asks));
    append(plan_.asks, std::move(training_.asks));
    append(plan_.asks, std::move(served_.asks));
    set_requeue();
    if (!plan_.actions.empty())
      for (const auto& runtime : o_.runtimes)
        if (runtime->update.automatic && settings_.installation.operator_class.empty()) plan_.others.push_back(runtime->meta.key);
    return std::move(plan_);
  }

 private:
  api::ModelStatus& status() { return decided_.status; }

  // ---- rollouts ----

  void advance_rollout() {
    if (!decided_.active) return;
    const api::ModelRollout& r = *decided_.active;
    const Ref<api::ModelVersion> candidate = o_.version(r.version);
    const Ref<api::ModelVersion> stable = o_.version(status().stable_version);
    const std::string* superseded = find(decided_.superseded, r.meta.key.name);
    const std::optional<api::Revision> brought = brought_by(o_, r, status(), settings_);
    rollout::Input input{r,
                         *policy_.policy,
                         status().stable_version,
                         serving::survey(o_, stable_side(), model::candidate_side(r.version, brought, status()), now_),
                         candidate ? &candidate->figures() : nullptr,
                         stable ? &stable->figures() : nullptr,
                         o_.answers,
                         o_.jobs,
                         superseded ? *superseded : "",
                         serving::gateways_of(m_),
                         job_troubles(r),
                         candidate ? candidate->bits() : "",
                         status().stable_digest,
                         hash_of(m_.rollout.raw),
                         served_before(o_.rollouts, r, brought ? brought->name : ""),
                         policy_.governance,
                         &o_.approvals,
                         "",
                         {},
                         brought,
                         status().stable_revision,
                         watched_.hold};
    if (input.governance && !r.status.started) input.governance->authors = governance::authors_of(o_, status(), r, *input.governance);
    if (governance::Freeze freeze = governance::freeze_of(o_.policies, now_); !freeze.why.empty()) {
      input.freeze = std::move(freeze.why);
      input.freeze_until = freeze.until;
    }
    advanced_ = rollout::advance(input, now_);
    look_again(advanced_->look_again);
    append(plan_.asks, advanced_->asks);
    tell(advanced_->events);
    start_gate_jobs(r);
    if (rollout::is_over(advanced_->status.phase)) conclude(r);
  }

  const std::string& status_version() const { return decided_.status.stable_version; }
  std::string stable_side() const { return side_of(status_version(), decided_.status.stable_revision); }

  // People look at the Model, too.
  void tell(const std::vector<Event>& events) {
    for (const Event& event : events) {
      plan_.events.push_back(event);
      plan_.events.push_back({{Kind::Model, o_.key}, m_.meta.uid, event.warning, event.reason, event.note});
    }
  }

  // Why Jobs of its gates do not get on.
  std::map<std::string, std::string> job_troubles(const api::ModelRollout& r) {
    std::map<std::string, std::string> troubles;
    for (const auto& [name, job] : o_.jobs) {
      if (job->gate_of != r.meta.uid) continue;
      const JobTrouble trouble = trouble_of(o_, *job, now_);
      look_again(trouble.look_again);
      if (!trouble.why.empty()) troubles[name] = trouble.why;
    }
    return troubles;
  }

  // What nobody waits for any more goes before anything is started.
  void start_gate_jobs(const api::ModelRollout& r) {
    if (rolling()) append(gate_actions_, rollout::tidy_gate_jobs(o_.jobs, r.meta.uid, advanced_->measuring));
    if (!advanced_->job_taken.empty()) job_taken_ = advanced_->job_taken;
    for (const auto& [name, gate] : advanced_->jobs) {
      if (is_taken(name)) job_taken_ = name;
      Result<Json> job = rollout::render_gate_job(m_, *gate, name, r, advanced_->status.from_version,
                                                  advanced_->status.policy->progress_deadline);
      if (!job) {
        gate_problem_ = "gate " + gate->name + ": " + job.error().message;
        continue;
      }
      const std::string body = job->dump();
      gate_actions_.push_back(Apply{
          {Kind::Job, {o_.key.ns, name}}, body, "", hash_of(body), "measure gate " + gate->name + " of " + r.version});
    }
  }

  // The API server said that one of that name is there, which is not the Model's.
  bool is_taken(const std::string& job) const {
    return std::any_of(o_.refusals.begin(), o_.refusals.end(), [&](const Refusal& refusal) {
      return refusal.target == ObjectRef{Kind::Job, {o_.key.ns, job}} &&
             (refusal.error.kind == ErrorKind::Conflict || refusal.error.kind == ErrorKind::AlreadyExists);
    });
  }

  // Those whose rollout waits for them no longer.
  void end_gate_jobs() {
    for (const auto& [name, job] : o_.jobs) {
      const bool wanted = rolling() && decided_.active->meta.uid == job->gate_of;
      const bool of_monitor = job->gate_of == m_.meta.uid;
      if (job->gate_of.empty() || of_monitor || wanted || job->complete || job->failed || job->meta.deleting) continue;
      gate_actions_.push_back(Delete{{Kind::Job, job->meta.key}, job->meta.uid, "its rollout is over"});
    }
  }

  // The Model learns the outcome in the same plan, before the rollout's own status says so: whichever of the
  // two is lost in a crash follows from the other.
  void conclude(const api::ModelRollout& r) {
    const api::RolloutStatus& s = advanced_->status;
    if (s.phase == "Succeeded") {
      keep_warm(status().stable_version, s);
      take_over(status(), r.version, s.digest, s.revision ? *s.revision : taken_over(o_, r.version), !r.revision.empty());
    }
    api::Intent& intent = status().intent;
    if (intent.rollout != r.meta.key.name) return;
    intent.outcome = s.phase;
    if (s.revision) intent.revision = s.revision->name;
    intent.reason = s.ending ? s.ending->reason : s.phase;
    intent.message = s.message;
  }

  void keep_warm(const std::string& before, const api::RolloutStatus& s) {
    if (before.empty() || before == decided_.active->version || !s.policy || s.policy->keep_warm == 0) return;
    std::erase(status().warm, before);
    status().warm.insert(status().warm.begin(), before);
  }

  // Those that are warm still. Where replicas are the weight, a version apart from the two would get a share.
  void cool_down() {
    auto& warm = status().warm;
    const auto& steps = rolling() && advanced_->status.policy ? advanced_->status.policy->steps : m_.rollout.steps;
    const bool shared = rolling() && !m_.route && std::any_of(steps.begin(), steps.end(), [](const api::Step& step) {
                          return step.weight && *step.weight < 100;
                        });
    if (shared) warm.clear();
    std::erase_if(warm, [&](const std::string& version) {
      return version == status().stable_version || version == candidate() || !o_.version(version) ||
             std::none_of(o_.deployments.begin(), o_.deployments.end(),
                          [&](const auto& named) { return named.second.object->version == version; });
    });
    if (warm.size() > static_cast<size_t>(m_.rollout.keep_warm)) warm.resize(m_.rollout.keep_warm);
  }

  bool rolling() const { return advanced_ && !rollout::is_over(advanced_->status.phase); }

  // A first version without gates has no rollout: it is stable once it serves.
  void take_first_version() {
    api::Intent& intent = status().intent;
    const bool first =
        status().stable_version.empty() && under_way(intent) && intent.rollout.empty() && !decided_.active;
    if (!first || !o_.version(intent.version) || !spec_.problem.empty()) return;
    first_ = intent.version;
    first_revision_ = first_revision(o_, first_, settings_);
    const serving::Ground ground = serving::survey(o_, "", candidate_side(), now_);
    if (!ground.at(100)) return;
    status().stable_version = first_;
    status().stable_revision = first_revision_ ? *first_revision_ : taken_over(o_, first_);
    status().stable_digest = o_.version(first_)->bits();
    intent.outcome = "Succeeded";
    plan_.events.push_back({{Kind::Model, o_.key}, m_.meta.uid, false, "Serving", first_ + " serves"});
    first_.clear();
    first_revision_.reset();
  }

  // What the spec asks for serves, and nothing else is on its way: who wrote that is no news for a later rollout.
  void settle_authors() {
    const api::Intent& intent = status().intent;
    const bool others = std::any_of(o_.rollouts.begin(), o_.rollouts.end(), [&](const auto& r) {
      return r != decided_.active && !r->meta.deleting && !rollout::is_over(r->status.phase);
    });
    if (rolling() || others || under_way(intent) || intent.outcome != "Succeeded") return;
    if (serves_as_asked(o_, status(), status().stable_version)) status().spec_authors.clear();
  }

  // The version before did not write it down.
  void note_digest() {
    const auto record = o_.version(status().stable_version);
    if (record && status().stable_digest.empty()) status().stable_digest = record->bits();
  }

  void follow_runtime() {
    const bool busy = rolling() || under_way(status().intent) || std::any_of(o_.rollouts.begin(), o_.rollouts.end(), [](const auto& r) { return !rollout::is_over(r->status.phase); });
    if (!busy && !status().stable_version.empty()) runtime_actions_ = runtimes::follow(o_, status());
  }

  std::string candidate() const { return rolling() ? decided_.active->version : first_; }
  const std::optional<api::Revision>& candidate_revision() const { return rolling() ? advanced_->status.revision : first_revision_; }
  std::string candidate_side() const { return model::candidate_side(candidate(), candidate_revision(), decided_.status); }

  // ---- monitors ----

  void watch_monitors() {
    watched_ = monitors::watch(o_, status().stable_version, now_);
    look_again(watched_.look_again);
  }

  // ---- retraining ----

  void retrain() {
    const bool pinned = m_.track != "Promoted" && (m_.version || m_.artifact);
    // What is being rolled out, or is about to be, may mend it.
    const bool moves = under_way(status().intent) || std::any_of(o_.rollouts.begin(), o_.rollouts.end(), [](const auto& r) {
      return !rollout::is_over(r->status.phase);
    });
    if (moves) watched_.retrain.clear();
    training_ = training::plan(o_, policy_, status().stable_version, pinned, watched_.retrain, settings_, now_);
    status().retraining = training_.status;
    const auto& asked = watched_.retrain;
    for (api::MonitorStatus& monitor : watched_.status)
      if (training_.started && std::find(asked.begin(), asked.end(), monitor.name) != asked.end()) ++monitor.attempts;
    status().monitors = watched_.status;
    look_again(training_.look_again);
  }

  // ---- serving ----

  void serve() {
    serving::Wanted wanted;
    wanted.stable = stable_side();
    wanted.candidate = candidate_side();
    wanted.stable_revision = status().stable_revision;
    wanted.candidate_revision = candidate_revision();
    wanted.warm = status().warm;
    wanted.headers = lifecycle_.headers;
    look_again(lifecycle_.look_again);
    if (rolling()) {
      wanted.weight = advanced_->status.candidate_weight;
      wanted.candidate_pods = advanced_->wants_pods;
      wanted.warm_for = advanced_->warm_for;
      wanted.candidate_replicas = advanced_->candidate_replicas;
      wanted.apart = advanced_->apart;
      wanted.draining = advanced_->draining;
      const auto& policy = advanced_->status.policy;
      wanted.reach_candidate = !policy || policy->strategy != api::RolloutPolicy::Strategy::Canary || !policy->steps.empty() || !policy->gates.empty();
      wanted.keep_stable = advanced_->status.baking_since && policy && policy->bake && policy->bake->keep_all;
      wanted.recreate = advanced_->recreate;
      const auto since = advanced_->status.ending ? advanced_->status.ending->at : advanced_->status.started;
      if (since) wanted.drain_until = *since + rollout::kDrainLimit;
    } else if (!first_.empty()) {
      wanted.weight = 100;
      wanted.candidate_pods = true;
    } else if (status().intent.since && !under_way(status().intent)) {
      wanted.drain_until = *status().intent.since + rollout::kDrainLimit;
    }
    wanted.stable_conflict = stable_conflict(o_, status());
    served_ = serving::serve(o_, wanted, settings_, now_);
    status().adopted = served_.adopted;
    status().lifecycle = lifecycle_.status;
    look_again(served_.look_again);
    look_again(governance::too_old_next(o_, status(), now_));
    if (auto notice = governance::evaluation_notice(o_, status(), now_)) plan_.events.push_back(std::move(*notice));
  }

  // ---- actions ----

  std::array<std::vector<Action>*, 8> parts() {
    return {&spec_.actions, &decided_.actions, &watched_.actions, &served_.actions, &runtime_actions_, &training_.actions, &gate_actions_, &watched_.jobs};
  }

  // What follows from statuses; who serves comes before any Job. A plan ends at an action that fails, so what was refused before
  // comes last and holds up nothing else: a Job that no quota has room for is no reason not to take traffic back, or not to seal records.
  void act() {
    auto parts = this->parts();
    const auto refused = std::stable_partition(parts.begin(), parts.end(), [&](const auto* actions) {
      return std::none_of(o_.refusals.begin(), o_.refusals.end(),
                          [&](const Refusal& refusal) { return repeats(refusal, *actions); });
    });
    for (auto part = parts.begin(); part != refused; ++part) append(plan_.actions, std::move(**part));
    std::vector<Action> sealed = settings_.audit.on ? audit::seal(o_, status().audit, settings_.audit) : std::vector<Action>{};
    const bool not_sealed = std::any_of(o_.refusals.begin(), o_.refusals.end(), [&](const Refusal& refusal) { return repeats(refusal, sealed); });
    if (!not_sealed) append(plan_.actions, std::move(sealed));
    append(plan_.actions, history::prune(o_, status(), spec_.name, decided_.active != nullptr));
    write_other_runs();
    prune_records();
    for (auto part = refused; part != parts.end(); ++part) append(plan_.actions, std::move(**part));
    if (not_sealed) append(plan_.actions, std::move(sealed));
  }

  void prune_records() {
    if (!settings_.audit.on) return;
    append(plan_.actions, audit::prune(o_, &status().audit, settings_.audit, now_));
    look_again(audit::prunes_next(o_, settings_.audit, now_));
  }

  // Whether what was refused is among these.
  static bool repeats(const Refusal& refusal, const std::vector<Action>& actions) {
    return std::any_of(actions.begin(), actions.end(), [&](const Action& action) {
      if (const auto* apply = std::get_if<Apply>(&action))
        return apply->target == refusal.target && apply->hash == refusal.body_hash;
      if (const auto* scale = std::get_if<Scale>(&action)) return scale->target == refusal.target;
      const auto* removal = std::get_if<Delete>(&action);
      return removal && removal->target == refusal.target && refusal.body_hash.empty();
    });
  }

  // ---- statuses ----

  // What the API server said no to, of what this plan would write again.
  std::string refused() {
    for (const Refusal& refusal : o_.refusals) {
      const bool trains = (refusal.target.kind == Kind::Job || refusal.target.kind == Kind::TrainingRun || refusal.target.kind == Kind::Workload) &&
                          std::any_of(training_.actions.begin(), training_.actions.end(), [&](const Action& action) {
                            const auto* apply = std::get_if<Apply>(&action);
                            return apply && apply->target == refusal.target;
                          });
      if (trains) continue;  // the run's own affair, whose status tells
      if (repeats(refusal, watched_.jobs)) continue;  // the monitor's
      if (refusal.target.kind == Kind::Job && refusal.target.key.name == job_taken_) continue;  // told as that
      if (refusal.target.kind == Kind::Service && served_.problem_reason == "ServiceNameTaken") continue;  // it says more
      for (const auto* actions : parts())
        if (repeats(refusal, *actions)) return refusal.target.to_string() + ": " + refusal.error.message;
    }
    return "";
  }

  void write_statuses() {
    const std::string refused = this->refused();
    write_model(refused);
    for (const auto& r : o_.rollouts) write_rollout(*r, refused);
    write_versions();
    if (training_.run) write_run(*training_.run->first, training_.run->second);
  }

  // A part at a time: nobody's traffic waits for thousands of them.
  void write_other_runs() {
    const size_t most = plan_.actions.size() + kOtherRuns;
    for (const auto& [run, next] : training_.others)
      if (plan_.actions.size() < most) write_run(*run, next);
  }

  void write_run(const api::TrainingRun& run, const api::TrainingRunStatus& next) {
    if (run.meta.deleting) return;
    write_status(plan_.actions, Kind::TrainingRun, run.meta, run.status.raw, training::render_status(run, next, now_).dump(),
                 next.phase + ": " + next.message);
  }

  rollout::Waiting waits_for_name() const { return {"JobNameTaken", rollout::taken_job(job_taken_), true}; }

  void write_model(const std::string& refused) {
    if (!settings_.installation.name.empty()) status().handled_by = settings_.installation.name;
    if (settings_.audit.on)
      status().audit = audit::record({o_, status(), decided_.active.get(), advanced_ ? &advanced_->status : nullptr, &decided_.closed, &settings_.audit}, now_);
    const AskedNow asked = rolling() || !first_.empty() ? AskedNow{} : asked_now(o_, status());
    Findings f{o_,
               spec_,
               status(),
               candidate(),
               stable_side(),
               candidate_side(),
               nullptr,
               status().intent.rollout,
               {},
               asked.runtime_outdated,
               refused,
               served_.problem_reason,
               served_.problem,
               served_.not_sticky,
               training_.problem_reason,
               training_.problem,
               &lifecycle_};
    f.monitors_problem = watched_.problem;
    if (rolling()) {
      f.rollout = &advanced_->status;
      f.rollout_name = decided_.active->meta.key.name;
    }
    if (f.serve_problem.empty()) f.serve_reason = asked.reason, f.serve_problem = asked.problem;
    if (f.serve_problem.empty() && !gate_problem_.empty()) f.serve_reason = "InvalidGateJob", f.serve_problem = gate_problem_;
    if (const rollout::Waiting* waiting = find(decided_.waiting, status().intent.rollout))
      f.waiting = *waiting;
    if (!job_taken_.empty() && rolling()) f.waiting = waits_for_name();
    const Json next = render_status(f, now_);
    for (const std::string* side : {&f.stable_side, &f.candidate_side})
      if (const auto fetched = serving::fetching_of(o_, *side).done; fetched && *fetched + m_.rollout.progress_deadline > now_)
        look_again(*fetched + m_.rollout.progress_deadline);
    for (const Json& condition : next["conditions"])
      if (condition["type"] == "Stalled" && condition["status"] == "True") look_again(now_ + kStalledPoll);
    WriteStatus* write = write_status(plan_.actions, Kind::Model, m_.meta, m_.status.raw, next.dump(), next["message"].get<std::string>());
    if (!write) return;
    Result<Json> before = parse_json(m_.status.raw.empty() ? "{}" : m_.status.raw, 1 << 22);
    write->may_wait = before && only_counts_differ(*before, next);
    // That pods have been made which are not ready yet is worth no write of its own, unless they stay so.
    if (write->may_wait && same_but_running(*before, next)) write->patience = kLongestPatience;
  }

  void write_rollout(const api::ModelRollout& r, const std::string& refused) {
    const bool over = rollout::is_over(r.status.phase);
    if (r.meta.deleting || (over && r.status.observed_generation == r.meta.generation)) return;
    const std::string& name = r.meta.key.name;
    api::RolloutStatus next = r.status;
    next.observed_generation = r.meta.generation;
    rollout::Waiting waiting;
    const bool active = decided_.active && decided_.active->meta.key.name == name;
    if (active) {
      next = advanced_->status;
    } else if (const api::RolloutStatus* closed = find(decided_.closed, name)) {
      next = *closed;
    } else if (const rollout::Waiting* why = find(decided_.waiting, name)) {
      waiting = *why;
      next.phase = "Pending";
    } else if (!over) {
      return;
    }
    if (active && !job_taken_.empty() && rolling()) waiting = waits_for_name();
    std::string problem;
    for (const std::string* what : {&refused, &std::as_const(served_.problem), &std::as_const(gate_problem_)})
      if (active && problem.empty() && waiting.message.empty()) problem = *what;
    write_status(plan_.actions, Kind::ModelRollout, r.meta, r.status.raw, rollout::render_status(r, next, waiting, problem, now_).dump(),
                 next.phase + ": " + next.message);
  }

  void write_versions() {
    version::Role role{status().stable_version, "", training_.rejected_version, training_.rejected_message, training_.evaluated_version,
                       training_.evaluation};
    // Until the rollout's end is on record its version stays the candidate: only then is it known how it
    // ended.
    for (const auto& r : o_.rollouts)
      if (r->status.started && !rollout::is_over(r->status.phase)) role.candidate = r->version;
    if (decided_.active) role.candidate = decided_.active->version;
    for (const auto& v : o_.versions) {
      if (v->meta.deleting) continue;
      const auto next = version::next_status(*v, role, o_, now_);
      if (next) write_status(plan_.actions, Kind::ModelVersion, v->meta, v->status_raw, next->dump(), (*next)["phase"].get<std::string>());
    }
  }

  // ---- when to look again ----

  void look_again(const std::optional<TimePoint>& at) {
    if (at && (!look_again_ || *at < *look_again_)) look_again_ = at;
  }

  void set_requeue() {
    // What was written leads to the next step, and the watch doesn't tell us of our own writes.
    const bool wrote = std::any_of(plan_.actions.begin(), plan_.actions.end(), [](const Action& action) {
      const auto* status = std::get_if<WriteStatus>(&action);
      return !status || !status->may_wait;
    });
    plan_.at_once = wrote;
    if (look_again_)
      plan_.requeue_after = std::max(Duration(0), std::chrono::duration_cast<Duration>(*look_again_ - now_));
  }

  const Observed& o_;
  const api::Model& m_;
  const Settings& settings_;
  TimePoint now_;
  lifecycle::Decision lifecycle_;
  SpecVersion spec_;
  rollout::Policy policy_;
  Decided decided_;
  std::optional<rollout::Advanced> advanced_;
  std::string first_;  // a first version on its way without a rollout
  std::optional<api::Revision> first_revision_;
  std::vector<Action> gate_actions_, runtime_actions_;
  std::string gate_problem_, job_taken_;
  monitors::Decision watched_;
  training::Planned training_;
  serving::Served served_;
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
  return Planner(observed, now, settings).run();
}

}  // namespace mo::model
