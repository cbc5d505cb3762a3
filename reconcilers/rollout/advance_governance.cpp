// What ModelPolicies keep a rollout from: its first request, and all of them, before gates have passed and people have approved;
// any step in a freeze. Going back to what served before waits for none of it.
#include <algorithm>
#include <set>
#include <string>

#include "operator/json/json.h"
#include "reconcilers/governance/approvals.h"
#include "reconcilers/rollout/steps.h"
#include "reconcilers/rollout/rollout_advance.h"

namespace mo::rollout {
namespace {

// How long one reading of who approved, and of whether admission guards it, is believed.
constexpr Duration kReading = std::chrono::seconds(30);
constexpr size_t kLargestReading = 1 << 20;
constexpr size_t kPassedOverShown = 3;

}  // namespace

bool RolloutAdvance::is_rollback() const { return wants("Promoted") && in_.served_before; }

bool RolloutAdvance::has_cleared(const char* before) {
  if (!s().governance || is_rollback()) return true;
  const auto& cleared = s().governance->cleared;
  return std::any_of(cleared.begin(), cleared.end(), [&](const api::Clearance& c) { return c.before == before; });
}

bool RolloutAdvance::may_serve() { return has_cleared(api::kFirstTraffic) || (pass_before_traffic() && approved(api::kFirstTraffic)); }

bool RolloutAdvance::may_have_all() {
  if (has_cleared(api::kFullTraffic)) return true;
  const auto& demands = s().governance->approvals;
  const bool asked = std::any_of(demands.begin(), demands.end(), [](const auto& d) { return d.before == api::kFullTraffic; });
  return !asked || approved(api::kFullTraffic);
}

bool RolloutAdvance::frozen() {
  if (in_.freeze.empty() || is_rollback() || s().candidate_weight == 100) return false;
  s().phase = "Paused";
  s().message = in_.freeze;
  if (in_.freeze_until) look_again(*in_.freeze_until);
  return true;
}

// Gates that need no traffic.
bool RolloutAdvance::pass_before_traffic() {
  std::vector<std::string> names;
  for (const std::string& name : s().governance->before_traffic)
    if (std::none_of(s().gates.begin(), s().gates.end(), [&](const auto& g) { return g.name == name && g.verdict == "Passed"; }))
      names.push_back(name);
  if (names.empty()) return true;
  bool all = true;
  for (const std::string& name : names) {
    const api::Gate* gate = policy().gate(name);
    if (!gate || !gate->measurable())
      return fail("GateUndefined", "gate " + name + " of a ModelPolicy has a kind that this operator does not support; upgrade the operator or change the gate"), false;
    if (!pass_gate(*gate, attempt())) all = false;
    if (s().ending || s().paused_at) return false;
  }
  if (!all) s().message = "measuring the gates that a ModelPolicy requires before the first request" + gate_messages();
  return all;
}

// ---- people's approval ----

bool RolloutAdvance::approved(const char* before) {
  const api::GovernanceRecord& record = *s().governance;
  const governance::Question question{in_.rollout, record, before, governance::subject_of(in_.rollout, s())};
  const std::vector<Ref<api::ModelApproval>> none;
  const auto& approvals = in_.approvals ? *in_.approvals : none;
  governance::Tally tally = governance::tally(question, approvals, now_);
  if (tally.roles.empty()) return clear(before, question.subject, {});
  s().approval = api::AwaitedApproval{"AwaitingApproval", question.subject, before, tally.roles};
  s().phase = "Paused";
  const std::string what = before == std::string(api::kFirstTraffic) ? "the first request" : "all traffic";
  if ((record.separate_author || record.separate_trainer) && record.authors.empty()) return no_author(what), false;
  if (tally.expires) look_again(*tally.expires);
  if (!tally.rejected && !tally.complete()) return await(tally, what), false;
  const auto read = read_approvals();
  if (!read) return false;
  tally = governance::tally(question, approvals, now_, &*read);
  if (tally.rejected) return reject(*tally.rejected), false;
  s().approval->roles = tally.roles;
  if (!tally.complete()) return await(tally, what), false;
  return clear(before, question.subject, std::move(tally.used));
}

void RolloutAdvance::await(const governance::Tally& tally, const std::string& what) {
  const std::string& model = in_.rollout.model;
  s().message = "waiting for approval before " + what + " by role " + governance::missing(tally) + ": run kubectl model approve " +
                model + " --role ROLE, or kubectl model reject " + model + " --role ROLE";
  const auto& before = in_.rollout.status.approval;
  if (!before || before->before != s().approval->before) event("AwaitingApproval", s().message, true);
  for (size_t i = 0; i < std::min(tally.passed_over.size(), kPassedOverShown); ++i) s().message += "; " + tally.passed_over[i];
}

// Nobody can tell whether an approver is the author.
void RolloutAdvance::no_author(const std::string& what) {
  s().approval->reason = "AuthorUnknown";
  s().message = "cannot be approved before " + what +
                ": the author of this change is unknown, and a ModelPolicy requires that another "
                "person approves it. Abort the rollout and make the change again with annotation " +
                std::string(api::kAnnotationChangedBy) + " set to your own user name on the " +
                (in_.rollout.origin == "spec" ? "Model" : "ModelRollout");
}

// The UIDs of the ModelApprovals that there are, read from the API server itself: what a watch has told may be taken back by now.
// Nothing while that is not known, or if nobody guards who writes them.
std::optional<std::set<std::string>> RolloutAdvance::read_approvals() {
  std::string known;
  for (const auto& approval : *in_.approvals)
    if (approval->rollout == in_.rollout.meta.key.name) known += approval->meta.uid + " ";
  const std::string id =
      "approvals/" + in_.rollout.meta.uid + "/" + hash_of(known) + "/" + std::to_string(now_.time_since_epoch() / kReading);
  const auto answer = in_.answers.find(id);
  out_.asks.push_back({id, AskApprovals{in_.rollout.meta.key}});
  if (answer == in_.answers.end()) {  // until then it says what it said
    if (const auto& before = in_.rollout.status.approval; before && before->subject == s().approval->subject) {
      s().approval = before;
      s().message = in_.rollout.status.message;
    } else {
      s().message = "reading the approvals again before traffic changes";
    }
    return {};
  }
  std::string problem = answer->second.problem;
  std::set<std::string> uids;
  const Result<Json> words = parse_json(answer->second.text.value_or("{}"), kLargestReading);
  if (words && words->is_object()) {
    if (words->contains("problem") && (*words)["problem"].is_string() && problem.empty()) problem = (*words)["problem"];
    if (words->contains("uids") && (*words)["uids"].is_array())
      for (const Json& uid : (*words)["uids"])
        if (uid.is_string()) uids.insert(uid);
  } else {
    problem = "the answer cannot be read";
  }
  if (problem.empty()) return uids;
  s().approval->reason = "ApprovalsNotEnforced";
  s().message = "approvals are ignored, because admission does not protect them from forgery: " + problem;
  look_again(now_ + kReading);
  return {};
}

void RolloutAdvance::reject(const api::ModelApproval& word) {
  s().approval.reset();
  decide("Failed", "ApprovalRejected",
         "rejected by " + word.approver + " for role " + word.role + (word.reason.empty() ? "" : ": " + word.reason) +
             " (ModelApproval " + word.meta.key.name + ")");
  s().ending->approval = word.meta.key.name;
}

bool RolloutAdvance::clear(const char* before, const std::string& subject, std::vector<api::UsedApproval> used) {
  s().approval.reset();
  s().phase = "Progressing";
  std::string people;
  for (const api::UsedApproval& one : used) people += (people.empty() ? "" : ", ") + one.approver + " for role " + one.role;
  if (!people.empty())
    event("RolloutApproved", candidate() + " may have " +
                                 (before == std::string(api::kFirstTraffic) ? "its first request" : "all traffic") +
                                 ": approved by " + people);
  s().governance->cleared.push_back({before, now_, subject, std::move(used)});
  return true;
}

}  // namespace mo::rollout
