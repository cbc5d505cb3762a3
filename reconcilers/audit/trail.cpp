#include "reconcilers/audit/trail.h"

#include <algorithm>
#include <utility>

#include "operator/api/statuses.h"
#include "operator/core/digest.h"
#include "operator/core/text.h"
#include "reconcilers/audit/retention.h"
#include "reconcilers/audit/segments.h"
#include "reconcilers/audit/steering.h"
#include "reconcilers/rollout/advance.h"
#include "reconcilers/rollout/steps.h"

namespace mo::audit {
namespace {

constexpr size_t kGatesShown = 20, kApprovalsShown = 20;
constexpr size_t kMostBytes = 256u << 10;  // of records that wait in the status, which is written with each of its changes
constexpr const char* kOperator = "operator";
constexpr const char* kUnknown = "unknown";

std::string or_unknown(const std::string& who) { return who.empty() ? kUnknown : who; }

Json verdicts_of(const api::RolloutStatus& s) {
  Json gates = Json::array();
  for (const api::GateStatus& gate : s.gates) {
    if (gate.verdict == "Running" || gates.size() == kGatesShown) continue;
    gates.push_back({{"name", gate.name},
                     {"verdict", gate.verdict},
                     {"passed", gate.passed},
                     {"failed", gate.failed},
                     {"inconclusive", gate.inconclusive}});
    if (!gate.value.empty()) gates.back()["value"] = gate.value;
    if (!gate.stable_value.empty()) gates.back()["stableValue"] = gate.stable_value;
  }
  return gates;
}

Json serves(const std::string& version, const std::string& digest, const std::optional<api::Revision>& revision) {
  Json out = {{"version", version}};
  if (!digest.empty()) out["digest"] = digest;
  if (revision) out["revision"] = revision->name;
  return out;
}

class Recording {
 public:
  Recording(const Decision& d, TimePoint now) : d_(d), m_(*d.observed.model), now_(now), trail_(m_.status.audit) {}

  api::AuditStatus run() {
    drop_sealed(trail_, d_.observed);
    if (const auto due = counted_until(trail_); due && now_ >= *due) tell_steering();
    close_the_one_before();
    if (d_.rollout && d_.status && d_.status->started) note_rollout();
    note_what_serves();
    note_stage();
    note_training();
    note_pruning();
    keep_within_bounds();
    return std::move(trail_);
  }

 private:
  api::AuditedRollout& told() { return trail_.rollout; }
  const api::RolloutStatus& s() const { return *d_.status; }

  // ---- the chain ----

  Entry entry(const std::string& action, const std::string& actor, const std::string& why, Json evidence = Json::object()) const {
    return {m_.meta.key.to_string(), m_.meta.uid,   actor, action, object_of(Kind::Model, m_.meta.key.name, m_.meta.uid), why,
            std::move(evidence),     Json::object()};
  }
  static Json object_of(Kind kind, const std::string& name, const std::string& uid) {
    return {{"kind", info(kind).kind}, {"name", name}, {"uid", uid}};
  }

  void add(const Entry& entry) {
    if (trail_.seq == 0 && !m_.status.stable_version.empty() && entry.action != "Began") begin();
    Link link = mo::audit::seal(entry, trail_.seq + 1, now_, trail_.head);
    ++trail_.seq;
    trail_.head = std::move(link.hash);
    trail_.records.push_back(std::move(link.line));
  }

  // A Model that served before there was a trail.
  void begin() {
    const api::ModelStatus& s = m_.status;
    add(entry("Began", kOperator, "the audit trail starts; " + s.stable_version + " serves",
              {{"serves", serves(s.stable_version, s.stable_digest, s.stable_revision)}}));
  }

  void add_of_rollout(const std::string& action, const std::string& actor, const std::string& why,
                      Json evidence = Json::object()) {
    tell_steering();
    Entry e = entry(action, actor, why, std::move(evidence));
    e.object = object_of(Kind::ModelRollout, d_.rollout->meta.key.name, d_.rollout->meta.uid);
    e.evidence["version"] = d_.rollout->version;
    if (!s().digest.empty()) e.evidence["digest"] = s().digest;
    if (s().policy) e.policy["rollout"] = sha256_of(s().policy->raw);
    if (s().governance)
      for (const api::PolicyRef& p : s().governance->policies)
        e.policy["modelPolicies"].push_back(p.name + "@" + std::to_string(p.generation));
    add(e);
  }

  // ---- rollouts ----

  const api::ModelRollout* rollout_of(const std::string& uid) const {
    for (const auto& r : d_.observed.rollouts)
      if (r->meta.uid == uid) return r.get();
    return nullptr;
  }

  // One whose end the Model did not decide: it learnt of it, or somebody deleted the object.
  void close_the_one_before() {
    if (told().uid.empty() || !told().ended.empty() || (d_.rollout && d_.rollout->meta.uid == told().uid)) return;
    const api::ModelRollout* r = rollout_of(told().uid);
    const bool retired = d_.next.lifecycle.stage == "Retired";
    const api::RolloutStatus* status = r && rollout::is_over(r->status.phase) ? &r->status : nullptr;
    if (r && !status && d_.closed)
      if (const auto found = d_.closed->find(r->meta.key.name); found != d_.closed->end()) status = &found->second;
    std::string action = "Aborted", why = "ModelRollout " + told().name + " was deleted, so it is aborted", actor = kUnknown;
    if (status) {
      action = status->phase, why = status->message, actor = kOperator;
    } else if (r && retired) {
      why = "the Model is retired", actor = retired_by();
    } else if (r && !d_.rollout) {
      return;
    } else if (r) {
      action = "Superseded", why = "superseded by ModelRollout " + d_.rollout->meta.key.name, actor = kOperator;
    }
    tell_steering();
    Entry e = entry(action, actor, why, {{"version", told().version}});
    e.object = object_of(Kind::ModelRollout, told().name, told().uid);
    if (action == "Succeeded") {
      e.evidence["serves"] = serves(d_.next.stable_version, d_.next.stable_digest, d_.next.stable_revision);
      succeeded_ = true;
    }
    add(e);
    told().ended = action;
  }

  void note_rollout() {
    if (told().uid != d_.rollout->meta.uid) start();
    if (!told().ended.empty()) return;
    note_approvals();
    if (s().ending) {
      end();
      if (!steered_.empty()) told().steered = steered_;
      return;
    }
    note_promotion();
    note_pause();
    note_place();
    if (s().phase == "Succeeded") succeed();
    if (!steered_.empty()) told().steered = steered_;
  }

  // Everybody who changed the spec since it last served as it asks.
  std::string spec_author() const {
    const auto& authors = d_.next.spec_authors.empty() ? m_.status.spec_authors : d_.next.spec_authors;
    std::string all;
    for (const std::string& who : authors) all += (all.empty() ? "" : ", ") + or_unknown(who);
    return all.empty() ? or_unknown(m_.about.changed_by) : all;
  }

  // The spec's authors, or who made the ModelRollout.
  std::string author() const {
    const api::ModelRollout& r = *d_.rollout;
    if (r.origin == "spec") return spec_author();
    const bool ours = r.origin == "retraining" || r.origin == "monitor" || r.origin == api::kOriginRuntime;
    return ours ? kOperator : or_unknown(r.changed_by);
  }

  // Who set desiredState or resumeRequestedAt last; in a ModelRollout that nobody changed since, who made it. An annotation that was told
  // before says who did the last thing, not this one: whoever aborts need not write any.
  std::string steered_by() {
    const api::ModelRollout& r = *d_.rollout;
    if (r.meta.generation <= 1 && r.steered_by.empty()) return author();
    const std::string mark = r.steered_by.empty() ? "" : hash_of(r.steered_by);
    if (mark.empty() || mark == told().steered) return kUnknown;
    steered_ = mark;
    return r.steered_by.substr(0, r.steered_by.rfind(' '));
  }

  void start() {
    told() = {};
    told().uid = d_.rollout->meta.uid;
    told().name = d_.rollout->meta.key.name;
    told().version = d_.rollout->version;
    told().resumed = resumed();
    Json evidence = {{"steps", s().step_count}};
    if (!s().from_version.empty()) evidence["from"] = serves(s().from_version, s().from_digest, s().from_revision);
    if (s().revision) evidence["revision"] = s().revision->name;
    if (!d_.rollout->origin.empty()) evidence["origin"] = d_.rollout->origin;
    add_of_rollout("RolloutStarted", author(),
                   s().from_version.empty() ? "first version " + d_.rollout->version
                                            : "from " + s().from_version + " to " + d_.rollout->version,
                   std::move(evidence));
  }

  void note_approvals() {
    const auto* cleared = s().governance ? &s().governance->cleared : nullptr;
    // The rollout's status was not written before a crash: other people may have approved when it is opened anew.
    told().cleared = std::min(told().cleared, static_cast<int>(cleared ? cleared->size() : 0));
    for (; cleared && static_cast<size_t>(told().cleared) < cleared->size(); ++told().cleared) {
      const api::Clearance& c = (*cleared)[static_cast<size_t>(told().cleared)];
      if (c.approvals.empty()) continue;
      Json approvals = Json::array();
      std::string who;
      for (const api::UsedApproval& a : c.approvals) {
        if (approvals.size() == kApprovalsShown) break;
        approvals.push_back({{"role", a.role}, {"approver", a.approver}, {"name", a.name}, {"uid", a.uid}});
        who += (who.empty() ? "" : ", ") + a.approver;
      }
      add_of_rollout(
          "Approved", who, c.before == api::kFirstTraffic ? "approved before the first request" : "approved before all traffic",
          {{"before", c.before}, {"subject", c.subject}, {"approvals", std::move(approvals)}, {"gates", verdicts_of(s())}});
    }
  }

  void note_promotion() {
    if (s().observed_state != "Promoted" || told().state == "Promoted") return;
    told().state = "Promoted";
    add_of_rollout("GatesSkipped", steered_by(), "desiredState Promoted: the remaining steps and gates are skipped",
                   {{"afterStep", told().step}, {"steps", s().step_count}, {"gates", verdicts_of(s())}});
  }

  std::string resumed() const { return s().observed_resume ? format_exact_time(*s().observed_resume) : ""; }

  void note_pause() {
    const std::string pause = s().paused_at ? s().pause_reason : "";
    const bool again = s().attempt > told().attempt, asked = std::exchange(told().resumed, resumed()) != resumed();
    // Past a step that pauses without an end: nobody but a person goes on there.
    if (asked && pause.empty() && told().pause.empty() && !again)
      toggle("Resumed", steered_by(), "Step", "continues after the pause", {{"after", "Step"}, {"gates", verdicts_of(s())}});
    if (pause == told().pause && !again) return;
    if (!told().pause.empty()) {
      const bool by_people = told().pause != "Held";
      toggle("Resumed", by_people ? steered_by() : kOperator, told().pause,
             again ? "continues and retries the step" : "continues", {{"after", told().pause}});
    }
    told().pause = pause;
    told().attempt = s().attempt;
    if (!pause.empty())
      toggle("Paused", pause == "Requested" ? steered_by() : kOperator, pause, s().message,
             {{"reason", pause}, {"gates", verdicts_of(s())}});
  }

  // steering.h
  void toggle(const std::string& action, const std::string& actor, const std::string& reason, const std::string& why,
              Json evidence) {
    if (told().toggles < kToggles) {
      ++told().toggles;
      return add_of_rollout(action, actor, why, std::move(evidence));
    }
    const api::CountedSteering one{whole_characters(actor, 253), action, reason, 1, now_};
    if (!has_room(told(), one)) tell_steering();
    count(told(), one);
  }

  void tell_steering() {
    if (told().steering.empty()) return;
    Entry e = entry("Steered", who_was_counted(told()), what_was_counted(told()),
                    {{"version", told().version},
                     {"since", format_time(told().steering_since.value_or(now_))},
                     {"steering", to_json(told().steering)}});
    e.object = object_of(Kind::ModelRollout, told().name, told().uid);
    told().steering.clear();
    told().steering_since.reset();
    add(e);
  }

  // Where it stands: each step, and whatever gives the candidate requests.
  void note_place() {
    const bool more = s().candidate_weight > told().weight, mirrored = s().mirroring_since.has_value(),
               baking = s().baking_since.has_value();
    const bool over = s().phase == "Succeeded";  // that is told by itself
    const bool moved = !over && (s().step_index != told().step || baking != told().baking || mirrored != told().mirrored);
    if (!moved && !more) return;
    Json evidence = {
        {"step", s().step_index}, {"steps", s().step_count}, {"weight", s().candidate_weight}, {"weightBefore", told().weight}};
    if (mirrored) evidence["mirrored"] = true;
    if (Json gates = verdicts_of(s()); !gates.empty()) evidence["gates"] = std::move(gates);
    told().step = s().step_index;
    told().weight = s().candidate_weight;
    told().mirrored = mirrored;
    told().baking = baking;
    add_of_rollout(more ? "TrafficAdvanced" : "StepEntered", kOperator, place(), std::move(evidence));
  }

  std::string place() const {
    const int count = s().step_count, index = s().step_index;
    if (s().baking_since) return "the bake";
    const bool known = s().policy && index >= 1 && index <= static_cast<int>(s().policy->steps.size());
    const std::string step = known ? "step " + std::to_string(index) + "/" + std::to_string(count) + " (" +
                                         rollout::describe(s().policy->steps[static_cast<size_t>(index) - 1]) + ")"
                                   : "all traffic";
    return step + ", weight " + std::to_string(s().candidate_weight);
  }

  void end() {
    const api::Ending& ending = *s().ending;
    const bool rejected = ending.reason == "ApprovalRejected";
    std::string actor = kOperator;
    if (ending.reason == "Aborted") actor = steered_by();
    if (rejected) actor = rejecter();
    told().ended = rejected ? ending.reason : ending.phase;
    add_of_rollout(
        told().ended, actor, ending.message,
        {{"phase", ending.phase}, {"reason", ending.reason}, {"weightBefore", told().weight}, {"gates", verdicts_of(s())}});
  }

  std::string rejecter() const {
    std::string who;
    for (const auto& approval : d_.observed.approvals)
      if (!approval->approved && approval->meta.key.name == s().ending->approval) who = approval->approver;
    return or_unknown(who);
  }

  void succeed() {
    told().ended = "Succeeded";
    succeeded_ = true;
    add_of_rollout("Succeeded", kOperator, s().message,
                   {{"serves", serves(d_.next.stable_version, d_.next.stable_digest, d_.next.stable_revision)},
                    {"gates", verdicts_of(s())}});
  }

  // ---- the Model ----

  // A first version without a rollout.
  void note_what_serves() {
    const std::string& now = d_.next.stable_version;
    if (succeeded_ || now.empty() || now == m_.status.stable_version) return;
    add(entry("Serving", spec_author(),
              now + " serves all traffic", {{"serves", serves(now, d_.next.stable_digest, d_.next.stable_revision)}}));
  }

  // By stage or by date: whoever wrote the spec.
  std::string retired_by() const { return or_unknown(m_.about.changed_by); }

  void note_stage() {
    const std::string &before = m_.status.lifecycle.stage, &now = d_.next.lifecycle.stage;
    if (before == now || (before != "Retired" && now != "Retired")) return;
    if (now == "Retired")
      add(entry("Retired", retired_by(), "spec.lifecycle retires the Model: no version serves",
                {{"serves", Json()}, {"servedBefore", d_.next.stable_version}}));
    else
      add(entry("Returned", or_unknown(m_.about.changed_by), "spec.lifecycle brings the Model back to stage " + now,
                d_.next.stable_version.empty()
                    ? Json::object()
                    : Json{{"serves", serves(d_.next.stable_version, d_.next.stable_digest, d_.next.stable_revision)}}));
  }

  void note_training() {
    const api::RetrainingStatus &before = m_.status.retraining, &now = d_.next.retraining;
    if (!now.last_retrained || now.last_retrained == before.last_retrained || !before.run) return;
    Entry e = entry("VersionRegistered", kOperator, now.last_result, {{"trigger", before.run->trigger}});
    e.object = object_of(Kind::TrainingRun, before.run->name, before.run->uid);
    for (const auto& run : d_.observed.runs)
      if (run->meta.key.name == before.run->name && !run->status.version.empty()) e.evidence["version"] = run->status.version;
    add(e);
  }

  // Before they go, and never while records of decisions wait: those are worth more.
  void note_pruning() {
    if (!d_.settings) return;
    const Prunable old = prunable(d_.observed, *d_.settings, now_);
    if (old.objects == 0) return;
    trail_.pruned = old.through;
    Json evidence = {{"through", old.through}, {"head", old.head}, {"modelAudits", old.objects}};
    if (!d_.next.stable_version.empty()) evidence["serves"] = serves(d_.next.stable_version, d_.next.stable_digest, d_.next.stable_revision);
    add(entry("Pruned", kOperator, "records " + std::to_string(old.first) + " to " + std::to_string(old.through) +
                                       " were exported and their retention has passed: their ModelAudits are deleted",
              std::move(evidence)));
  }

  // ---- bounds ----

  bool too_many() const {
    size_t bytes = 0;
    for (const std::string& line : trail_.records) bytes += line.size();
    return trail_.records.size() > kMostPending || bytes > kMostBytes;
  }

  void keep_within_bounds() {
    if (!too_many()) return;
    const size_t size = std::min(kSegment, trail_.records.size());
    const int64_t first = trail_.first(), last = first + static_cast<int64_t>(size) - 1;
    const std::string head = hash_in(trail_.records[size - 1]);
    trail_.records.erase(trail_.records.begin(), trail_.records.begin() + static_cast<std::ptrdiff_t>(size));
    add(entry("RecordsDropped", kOperator,
              "no ModelAudit could be created, and status.audit is full: records " + std::to_string(first) + " to " +
                  std::to_string(last) + " are lost",
              {{"first", first}, {"last", last}, {"head", head}}));
  }

  const Decision& d_;
  const api::Model& m_;
  TimePoint now_;
  api::AuditStatus trail_;
  bool succeeded_ = false;
  std::string steered_;  // the hash of the annotation that a record of this plan tells
};

}  // namespace

std::optional<TimePoint> counted_until(const api::AuditStatus& audit) {
  if (audit.rollout.steering.empty()) return {};
  return audit.rollout.steering_since.value_or(TimePoint{}) + kCounting;
}

api::AuditStatus record(const Decision& decision, TimePoint now) { return Recording(decision, now).run(); }

}  // namespace mo::audit
