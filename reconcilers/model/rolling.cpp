#include "reconcilers/model/rolling.h"

#include <algorithm>

#include "reconcilers/common/job.h"
#include "reconcilers/common/names.h"
#include "reconcilers/common/side.h"
#include "reconcilers/common/rollback_targets.h"
#include "reconcilers/governance/authors.h"
#include "reconcilers/governance/freeze.h"
#include "reconcilers/model/revisions.h"
#include "reconcilers/measure/job.h"
#include "reconcilers/serving/route.h"
#include "reconcilers/serving/survey.h"

namespace mo::model {
namespace {

class Roll {
 public:
  Roll(const Observed& o, Decided& decided, const SpecVersion& spec, const rollout::Policy& policy, const serving::Settings& settings, TimePoint now)
      : o_(o), m_(*o.model), decided_(decided), spec_(spec), policy_(policy), settings_(settings), now_(now) {}

  Rolling run(const std::string& hold) {
    if (decided_.active) advance(*decided_.active, hold);
    take_first_version();
    cool_down();
    end_gate_jobs();
    return std::move(out_);
  }

 private:
  api::ModelStatus& status() { return decided_.status; }
  std::string stable_side() { return side_of(status().stable_version, status().stable_revision); }

  void advance(const api::ModelRollout& r, const std::string& hold) {
    const std::optional<api::Revision> brought = brought_by(o_, r, status(), settings_);
    const rollout::Input input = input_of(r, brought, hold);
    out_.advanced = rollout::advance(input, now_);
    out_.look_again_at(out_.advanced->look_again);
    append(out_.asks, out_.advanced->asks);
    tell(out_.advanced->events);
    start_gate_jobs(r);
    if (rollout::is_over(out_.advanced->status.phase)) conclude(r);
  }

  rollout::Input input_of(const api::ModelRollout& r, const std::optional<api::Revision>& brought, const std::string& hold) {
    const Ref<api::ModelVersion> candidate = o_.version(r.version);
    const Ref<api::ModelVersion> stable = o_.version(status().stable_version);
    const auto superseded = decided_.superseded.find(r.meta.key.name);
    rollout::Input input{.rollout = r,
                         .policy = *policy_.policy,
                         .stable = status().stable_version,
                         .serving_state = serving::survey(o_, stable_side(), candidate_side(r.version, brought, status()), now_),
                         .candidate_metrics = candidate ? &candidate->figures() : nullptr,
                         .stable_metrics = stable ? &stable->figures() : nullptr,
                         .answers = o_.answers,
                         .jobs = o_.jobs,
                         .superseded_by = superseded == decided_.superseded.end() ? "" : superseded->second,
                         .gateways = serving::gateways_of(m_),
                         .job_troubles = job_troubles(r),
                         .digest = candidate ? candidate->bits() : "",
                         .stable_digest = status().stable_digest,
                         .spec_hash = hash_of(m_.rollout.raw),
                         .served_before = served_before(o_.rollouts, r, brought ? brought->name : ""),
                         .governance = policy_.governance,
                         .approvals = &o_.approvals,
                         .revision = brought,
                         .stable_revision = status().stable_revision,
                         .hold = hold};
    if (input.governance && !r.status.started) input.governance->authors = governance::authors_of(o_, status(), r, *input.governance);
    if (governance::Freeze freeze = governance::freeze_of(o_.policies, now_); !freeze.why.empty()) {
      input.freeze = std::move(freeze.why);
      input.freeze_until = freeze.until;
    }
    return input;
  }

  // People look at the Model, too.
  void tell(const std::vector<Event>& events) {
    for (const Event& event : events) {
      out_.events.push_back(event);
      out_.events.push_back({{Kind::Model, o_.key}, m_.meta.uid, event.warning, event.reason, event.note});
    }
  }

  // ---- Jobs of gates ----

  // Why they do not get on.
  std::map<std::string, std::string> job_troubles(const api::ModelRollout& r) {
    std::map<std::string, std::string> troubles;
    for (const auto& [name, job] : o_.jobs) {
      if (job->gate_of != r.meta.uid) continue;
      const JobTrouble trouble = trouble_of(o_, *job, now_);
      out_.look_again_at(trouble.look_again);
      if (!trouble.why.empty()) troubles[name] = trouble.why;
    }
    return troubles;
  }

  // What nobody waits for any more goes before anything is started.
  void start_gate_jobs(const api::ModelRollout& r) {
    const rollout::Advanced& advanced = *out_.advanced;
    if (out_.under_way()) append(out_.actions, measure::tidy_gate_jobs(o_.jobs, r.meta.uid, advanced.measuring));
    if (!advanced.job_taken.empty()) out_.job_taken = advanced.job_taken;
    for (const auto& [name, gate] : advanced.jobs) {
      if (is_taken(name)) out_.job_taken = name;
      Result<Json> job = measure::render_gate_job(m_, *gate, name, r, advanced.status.from_version, advanced.status.policy->progress_deadline);
      if (!job) {
        out_.problem_reason = "InvalidGateJob";
        out_.problem = "gate " + gate->name + ": " + job.error().message;
        continue;
      }
      const std::string body = job->dump();
      out_.actions.push_back(Apply{{Kind::Job, {o_.key.ns, name}}, body, "", hash_of(body), "measure gate " + gate->name + " of " + r.version});
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
      const bool wanted = out_.under_way() && decided_.active->meta.uid == job->gate_of;
      const bool of_monitor = job->gate_of == m_.meta.uid;
      if (job->gate_of.empty() || of_monitor || wanted || job->complete || job->failed || job->meta.deleting) continue;
      out_.actions.push_back(Delete{{Kind::Job, job->meta.key}, job->meta.uid, "its rollout has finished"});
    }
  }

  // ---- ends ----

  // The Model learns the outcome in the same plan, before the rollout's own status says so: whichever of the
  // two is lost in a crash follows from the other.
  void conclude(const api::ModelRollout& r) {
    const api::RolloutStatus& s = out_.advanced->status;
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
    const std::string candidate = out_.under_way() ? decided_.active->version : out_.first;
    const auto& steps = out_.under_way() && out_.advanced->status.policy ? out_.advanced->status.policy->steps : m_.rollout.steps;
    const bool shared = out_.under_way() && !m_.route && std::any_of(steps.begin(), steps.end(), [](const api::Step& step) {
                          return step.weight && *step.weight < 100;
                        });
    if (shared) warm.clear();
    std::erase_if(warm, [&](const std::string& version) {
      return version == status().stable_version || version == candidate || !o_.version(version) ||
             std::none_of(o_.deployments.begin(), o_.deployments.end(),
                          [&](const auto& named) { return named.second.object->version == version; });
    });
    if (warm.size() > static_cast<size_t>(m_.rollout.keep_warm)) warm.resize(m_.rollout.keep_warm);
  }

  // A first version without gates has no rollout: it is stable once it serves.
  void take_first_version() {
    api::Intent& intent = status().intent;
    const bool first = status().stable_version.empty() && under_way(intent) && intent.rollout.empty() && !decided_.active;
    if (!first || !o_.version(intent.version) || !spec_.problem.empty()) return;
    const std::optional<api::Revision> revision = first_revision(o_, intent.version, settings_);
    if (!serving::survey(o_, "", candidate_side(intent.version, revision, status()), now_).at(100)) {
      out_.first = intent.version;
      out_.first_revision = revision;
      return;
    }
    status().stable_version = intent.version;
    status().stable_revision = revision ? *revision : taken_over(o_, intent.version);
    status().stable_digest = o_.version(intent.version)->bits();
    intent.outcome = "Succeeded";
    out_.events.push_back({{Kind::Model, o_.key}, m_.meta.uid, false, "Serving", intent.version + " serves"});
  }

  const Observed& o_;
  const api::Model& m_;
  Decided& decided_;
  const SpecVersion& spec_;
  const rollout::Policy& policy_;
  const serving::Settings& settings_;
  const TimePoint now_;
  Rolling out_;
};

}  // namespace

Rolling roll(const Observed& observed, Decided& decided, const SpecVersion& spec, const rollout::Policy& policy, const std::string& hold,
             const serving::Settings& settings, TimePoint now) {
  return Roll(observed, decided, spec, policy, settings, now).run(hold);
}

}  // namespace mo::model
