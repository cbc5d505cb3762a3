// The implementation of advance(): one step in time of one rollout, from the stored status to the next. Only for advance.cpp,
// advance_steps.cpp, advance_gates.cpp and advance_governance.cpp. Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reconcilers/governance/approvals.h"
#include "reconcilers/rollout/advance.h"
#include "reconcilers/measure/gates.h"
#include "reconcilers/rollout/status.h"

namespace mo::rollout {

// Status keeps whole seconds. Rounded up, so that no pause or deadline ever ends early.
inline TimePoint whole_second(TimePoint t) { return std::chrono::ceil<std::chrono::seconds>(t); }

// For one run() only. Keeps a reference to `in`. Failures of a rollout are written to its status.
class RolloutAdvance {
 public:
  RolloutAdvance(const Input& in, TimePoint now) : in_(in), now_(now), serving_(in.serving_state) {
    out_.status = in.rollout.status;
    s().observed_generation = in.rollout.meta.generation;
  }

  Advanced run();

 private:
  api::RolloutStatus& s() { return out_.status; }
  const api::RolloutPolicy& policy() { return *s().policy; }
  const std::string& candidate() const { return in_.rollout.version; }
  // For messages: both versions, with their templates if the version is the same.
  std::string from() { return from_text(in_.rollout.version, s()); }
  std::string to() { return to_text(in_.rollout.version, s()); }
  bool first() { return s().from_version.empty(); }
  int count() { return static_cast<int>(policy().steps.size()); }
  bool at_final() { return s().step_index > count(); }
  const api::Step& step() { return policy().steps[s().step_index - 1]; }

  // ---- advance.cpp: the record ----

  void start();
  void take_snapshot();
  void note_word();
  void mend_record();
  void mend_clock();
  void enter(int index);
  void event(const std::string& reason, const std::string& note, bool warning = false);
  void look_again(TimePoint at);

  // ---- ends ----

  void decide_ending();
  void decide(const std::string& phase, const std::string& reason, const std::string& message);
  void end();
  void finish(const std::string& phase, const std::string& message);
  // The outcome is written to the Model before the rollout. So the latest measurements must be stored
  // first, or a crash in between loses the evidence of the outcome.
  bool recorded() { return s().gates == in_.rollout.status.gates; }
  bool already_stable();
  void succeed();
  void fail(const std::string& reason, const std::string& message);

  // ---- people ----

  bool wants(const char* state) const { return in_.rollout.desired_state == state; }
  bool wants_running() const { return in_.rollout.desired_state.empty() || wants("Running"); }
  std::string state() const { return in_.rollout.desired_state.empty() ? "Running" : in_.rollout.desired_state; }
  bool resume_requested() {
    const auto& at = in_.rollout.resume_requested_at;
    return at && at != s().observed_resume;
  }
  bool told_to_go_on() { return wants_running() && (resume_requested() || s().observed_state == "Paused"); }
  std::string how_to_go_on() const {
    return wants("Paused") ? "set desiredState to Running"
                           : "set spec.resumeRequestedAt to now, or run kubectl model resume " + in_.rollout.model + ",";
  }
  bool paused_by_itself() { return s().paused_at && s().pause_reason != "Requested" && s().pause_reason != "Held"; }
  void pause(const std::string& reason, const std::string& message);
  void explain_pause();
  std::string changed_gates();
  void clear_pause();
  void promote();
  void try_again();
  void steer();
  void stand_still(const std::string& reason, const std::string& why, const std::string& way_out = "");

  // ---- the traffic target of the current step ----

  void announce_needs();

  // ---- advance_steps.cpp ----

  std::string where();
  void walk();
  // True if the step is done. Otherwise status says what it waits for; the functions below do the same.
  bool take_step();
  bool reach(int weight);
  bool wait_out(const api::Step::Pause& pause);
  bool choose_callers();
  bool grow(int pods);
  serving::RouteRules route_rules();
  std::optional<int> candidate_replicas();
  bool shadows() { return policy().strategy == api::RolloutPolicy::Strategy::Shadow; }
  bool recreates() { return policy().strategy == api::RolloutPolicy::Strategy::Recreate; }
  bool mirrored();
  bool can_mirror();
  bool shadow_over();
  bool shadowed();
  bool warmed();
  bool has_pods();
  void wait_for_pods(int wanted, const std::string& where = "");
  void wait_for_route(const std::string& what);
  void keep_deadline(const std::string& missed, const std::string& stand, const serving::Fetching& fetching = {});
  void final();
  void bake(bool there);

  // ---- advance_gates.cpp ----

  bool pass_gates();
  std::vector<std::string> required_gates();
  bool pass_required();
  void watch_background();
  // Names the Jobs and asks of gates: each attempt has its own, which continues through a pause. A background gate
  // and its Job continue beyond a step.
  struct Attempt {
    TimePoint since;
    std::string name;
  };
  Attempt attempt();
  void watch(const std::vector<std::string>& names, const Attempt& attempt, bool background = false);
  void watch_again(int index);
  void forget_gates(const std::vector<std::string>& names);
  std::string gate_messages();
  measure::GateContext gate_context(const Attempt& attempt);
  bool pass_gate(const api::Gate& gate, const Attempt& attempt, bool watching = false, bool background = false);

  // ---- advance_governance.cpp: requirements of ModelPolicies; while they are not met, status says what is missing ----

  bool is_rollback() const;  // policies do not apply to rollbacks
  bool has_cleared(const char* before);
  bool may_serve();
  bool may_have_all();
  bool frozen();
  bool pass_before_traffic();
  bool approved(const char* before);
  void await(const governance::Tally& tally, const std::string& what);
  void no_author(const std::string& what);
  std::optional<std::set<std::string>> read_approvals();
  void reject(const api::ModelApproval& word);
  bool clear(const char* before, const std::string& subject, std::vector<api::UsedApproval> used);

  const Input& in_;
  TimePoint now_;
  serving::ServingState serving_;
  bool waits_ = false;  // for pods or the route
  Advanced out_;
};

}  // namespace mo::rollout
