// Policies that add up, freeze windows, and whose word counts.
#include <catch2/catch.hpp>
#include <functional>
#include <set>

#include "operator/api/parse.h"
#include "reconcilers/governance/approvals.h"
#include "reconcilers/governance/explain.h"
#include "reconcilers/governance/freeze.h"
#include "operator/core/pattern.h"
#include "reconcilers/governance/policies.h"
#include "reconcilers/model/plan.h"
#include "tests/unit/reconcilers_make.h"

using namespace mo;
using namespace mo::test;

namespace {

std::shared_ptr<api::ModelPolicy> policy_of(const std::string& name, const Json& spec) {
  const Json object = {{"metadata", {{"name", name}, {"uid", "uid-" + name}, {"generation", 3}}}, {"spec", spec}};
  auto parsed = api::parse<api::ModelPolicy>(object.dump());
  REQUIRE(parsed);
  CHECK(parsed->problem == "");
  return std::make_shared<api::ModelPolicy>(std::move(*parsed));
}

TimePoint at(const std::string& time) { return *parse_time(time); }

}  // namespace

TEST_CASE("patterns", "[governance]") {
  struct Row {
    const char *pattern, *text;
    bool matches;
  };
  const Row rows[] = {{"prod-*", "prod-pay", true},
                      {"prod-*", "prod-", true},
                      {"prod-*", "nonprod-pay", false},
                      {"*", "", true},
                      {"", "", true},
                      {"", "a", false},
                      {"*-pay-*", "eu-pay-1", true},
                      {"a*b*c", "aXbYbZc", true},
                      {"a*b*c", "aXbYbZ", false},
                      {"https://models.example/*", "https://models.example/a/b", true},
                      {"https://models.example/*", "https://models.example@evil/a", false},
                      {"https://models.example/*", "https://models.example.evil/a", false},
                      {"**************************x", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false}};
  for (const Row& row : rows) {
    INFO(row.pattern << " and " << row.text);
    CHECK(mo::matches(row.pattern, row.text) == row.matches);
  }
}

TEST_CASE("which Models a policy is for", "[governance]") {
  api::Model model;
  model.meta.key = {"prod-pay", "m"};
  model.about.risk_tier = "high";
  model.about.model_class = "Rules";
  struct Row {
    const char* applies_to;
    bool is;
  };
  const Row rows[] = {{"{}", true},
                      {R"({"riskTiers": ["high", "medium"]})", true},
                      {R"({"riskTiers": ["low"]})", false},
                      {R"({"riskTiers": [""]})", false},
                      {R"({"classes": ["Rules"], "riskTiers": ["high"], "namespaces": ["prod-*"]})", true},
                      {R"({"classes": ["Generative"], "riskTiers": ["high"]})", false},
                      {R"({"namespaces": ["dev", "prod-pay"]})", true},
                      {R"({"namespaces": ["dev-*"]})", false}};
  for (const Row& row : rows) {
    INFO(row.applies_to);
    CHECK(governance::applies(*policy_of("p", {{"appliesTo", Json::parse(row.applies_to)}}), model) == row.is);
  }
  model.about.risk_tier.clear();
  CHECK(governance::applies(*policy_of("p", {{"appliesTo", {{"riskTiers", {""}}}}}), model));
}

TEST_CASE("a policy chooses namespaces by label, and holds where nobody knows them", "[governance]") {
  Scene s;
  s.serving("m-v1");
  const auto by = [&](const std::string& selector) { return policy_of("p", {{"appliesTo", {{"namespaceSelector", Json::parse(selector)}}}}); };
  api::Namespace ns;
  ns.labels = {{"tier", "prod"}, {"team", "pay"}};
  struct Row {
    const char* selector;
    bool is;
  };
  const Row rows[] = {{R"({"matchLabels": {"tier": "prod"}})", true},
                      {R"({"matchLabels": {"tier": "prod", "team": "risk"}})", false},
                      {R"({"matchLabels": {"none": ""}})", false},
                      {R"({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["dev", "prod"]}]})", true},
                      {R"({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["dev", "prod"]}]})", false},
                      {R"({"matchExpressions": [{"key": "none", "operator": "NotIn", "values": ["dev"]}]})", true},
                      {R"({"matchExpressions": [{"key": "none", "operator": "In", "values": ["dev"]}]})", false},
                      {R"({"matchExpressions": [{"key": "team", "operator": "Exists"}]})", true},
                      {R"({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]})", false},
                      {R"({"matchLabels": {"tier": "prod"}, "matchExpressions": [{"key": "none", "operator": "Exists"}]})", false}};
  for (const Row& row : rows) {
    INFO(row.selector);
    CHECK(governance::applies(*by(row.selector), s.model, &ns) == row.is);
    CHECK(governance::applies(*by(row.selector), s.model, nullptr));
  }
  s.o.policies = {governance::undecided(by(rows[0].selector), "ns", true)};
  const api::ModelRollout& rollout = s.rollout("r", "m-v2");
  CHECK(governance::holds(s.observed(), rollout, "revision", kNow).waiting.reason == "InvalidPolicy");
  CHECK(governance::holds(s.observed(), rollout, "revision", kNow).waiting.message.find("may not watch them") != std::string::npos);
  CHECK_FALSE(governance::compliant(s.observed(), s.model.status, kNow)->is);
}

TEST_CASE("what a policy demands, in words: strategies among it, and no gate that is a dry run", "[governance]") {
  const auto gate = [](const std::string& name, bool dry_run) {
    Json g = {{"name", name}, {"version", {{"metric", name}}}, {"min", "0.9"}};
    if (dry_run) g["dryRun"] = true;
    return g;
  };
  Json watched = {{"name", "errors"}, {"prometheus", {{"query", "errors"}}}, {"max", "0.1"}}, tried = watched;
  tried["name"] = "tried";
  tried["dryRun"] = true;
  const Json spec = {{"gates", {gate("first", false), gate("first-dry", true), gate("later", false), gate("later-dry", true), watched, tried}},
                     {"require", {{"beforeTraffic", {"first", "first-dry"}}, {"background", {"errors", "tried"}}, {"strategies", {"Canary", "Shadow"}}}}};
  CHECK(governance::demands(*policy_of("p", spec), at("2026-11-22T12:00:00Z")) ==
        std::vector<std::string>{"ModelPolicy p requires", "  gates before the first request: first", "  gates before all traffic: later, errors",
                                 "  gates measured in the background: errors",
                                 "  gates that are only measured (dryRun): first-dry, later-dry, tried",
                                 "  strategies: Canary, Shadow"});
}

TEST_CASE("several policies add up, and the stricter wins", "[governance]") {
  const Json gate = {{"name", "recorded"}, {"version", {{"metric", "f1"}}}, {"min", "0.99"}};
  const Json watched = {{"name", "errors"}, {"prometheus", {{"query", "errors"}}}, {"max", "0.1"}};
  const Json a = {{"gates", {gate}},
                  {"require", {{"beforeTraffic", {"recorded"}}, {"minBake", "1h"}}},
                  {"approvals", {{{"role", "risk"}, {"count", 1}, {"before", "FirstTraffic"}}}},
                  {"approvalValidFor", "48h"}};
  const Json b = {
      {"gates", {gate, watched}},
      {"require", {{"background", {"errors"}}, {"minBake", "24h"}}},
      {"approvals",
       {{{"role", "risk"}, {"count", 2}, {"before", "FirstTraffic"}}, {{"role", "legal"}, {"before", "FullTraffic"}}}},
      {"separationOfDuties", {{"author", true}}},
      {"approvalValidFor", "24h"}};
  const Json c = {{"enforcement", "Warn"}, {"approvals", {{{"role", "nobody"}, {"count", 5}}}}};
  Scene s;
  s.model.rollout.raw = R"({"gates":[{"name":"recorded","version":{"metric":"f1"},"min":"0.1"}],"steps":[{"weight":10}]})";
  s.rollout("r", "m-v2");
  s.o.policies = {policy_of("a", a), policy_of("b", b), policy_of("c", c)};
  rollout::Policy policy = governance::resolve(s.observed());
  REQUIRE(policy.governance);
  const api::GovernanceRecord& record = *policy.governance;
  CHECK(record.policies.size() == 2);
  CHECK(record.policies[1].name == "b");
  CHECK(record.policies[1].generation == 3);
  CHECK(record.before_traffic == std::vector<std::string>{"recorded"});
  CHECK(record.approvals == std::vector<api::ApprovalDemand>{{"risk", 2, "FirstTraffic"}, {"legal", 1, "FullTraffic"}});
  CHECK(record.min_bake == std::chrono::hours(24));
  CHECK(record.approval_valid_for == std::chrono::hours(24));
  CHECK(record.separate_author);
  const api::RolloutPolicy& imposed = *policy.policy;
  REQUIRE(imposed.gate("recorded"));
  CHECK(imposed.gate("recorded")->min == Decimal::parse("0.99"));
  CHECK(imposed.gate("recorded")->required);
  CHECK(imposed.bake->duration == std::chrono::hours(24));
  CHECK(imposed.steps.size() == s.model.rollout.steps.size() + 1);
  CHECK(imposed.steps[0].background == std::vector<std::string>{"errors"});
  // What status keeps reads as what was imposed.
  const Json rollout = {{"metadata", {{"name", "r"}}}, {"status", {{"policy", Json::parse(imposed.raw)}}}};
  const auto again = api::parse<api::ModelRollout>(rollout.dump());
  REQUIRE(again);
  REQUIRE(again->status.policy);
  CHECK(again->status.policy->gates.size() == 2);
  CHECK(again->status.policy->gate("recorded")->required);
  CHECK(again->status.policy->bake->duration == std::chrono::hours(24));
  CHECK(again->status.policy->steps[0].background == std::vector<std::string>{"errors"});
}

TEST_CASE("without policies nothing is added and nothing copied", "[governance]") {
  Scene s;
  s.rollout("r", "m-v2");
  const Observed& o = s.observed();
  const rollout::Policy policy = governance::resolve(o);
  CHECK(policy.policy.get() == &o.model->rollout);
  CHECK_FALSE(policy.governance);
  CHECK_FALSE(governance::compliant(o, o.model->status, kNow));
  CHECK(governance::holds(o, *o.rollouts[0], "r1", kNow).waiting.reason == "");
}

TEST_CASE("a policy says which fields a Model must fill in, its card's too", "[governance]") {
  const std::vector<std::string> fields = {"class", "description", "owner.team", "card.intendedUse", "card.businessValue"};
  const auto policy = policy_of("p", {{"require", {{"fields", fields}}}});
  const auto missing = [&](const Json& spec) {
    const auto model = api::parse<api::Model>(Json{{"metadata", {{"name", "m"}, {"namespace", "ns"}}}, {"spec", spec}}.dump());
    REQUIRE(model);
    Scene s;
    s.model.about = model->about;
    return governance::objections(s.observed(), *policy, nullptr);
  };
  CHECK(missing({{"class", "Rules"}, {"description", "d"}, {"owner", {{"team", "t"}}}, {"card", {{"intendedUse", "u"}, {"businessValue", "v"}}}}).empty());
  const auto left = missing({{"class", "Rules"}, {"description", ""}, {"owner", {{"team", "t"}}}, {"card", {{"intendedUse", "u"}}}});
  REQUIRE(left.size() == 2);
  CHECK(left[0].find("spec.description is required") != std::string::npos);
  CHECK(left[1].find("spec.card.businessValue is required") != std::string::npos);
}

// Going back was known by the version's name: a rollout that never ran, or another template of an old version, passed over every demand.
TEST_CASE("only what served as it was is a way back that policies let pass", "[governance]") {
  Scene s;
  api::ModelRollout& before = s.rollout("before", "m-v2");
  s.rollout("back", "m-v2").desired_state = "Promoted";
  before.status.phase = "Succeeded";
  before.status.started = kNow;
  before.status.revision = api::Revision{.name = "r1", .deployment = {}, .asked = {}, .pod_template = {}};
  s.o.policies = {policy_of("p", {{"require", {{"fields", {"card.intendedUse"}}}}})};
  const auto reason = [&](const std::string& revision) {
    const Observed& o = s.observed();
    return governance::holds(o, *o.rollouts[1], revision, kNow).waiting.reason;
  };
  CHECK(reason("r1") == "");
  CHECK(reason("r2") == "PolicyUnsatisfied");  // another template
  CHECK(reason("") == "PolicyUnsatisfied");
  before.status.started.reset();
  CHECK(reason("r1") == "PolicyUnsatisfied");  // it never began
  before.status.started = kNow;
  before.status.revision.reset();
  CHECK(reason("r1") == "PolicyUnsatisfied");  // nobody knows what served
}

// A rollout of which no pods could be made began, was approved, and took whatever template the spec had later.
TEST_CASE("no rollout begins under a policy before its pods can be made", "[governance]") {
  Scene s;
  s.rollout("r", "m-v2");
  s.o.policies = {policy_of("p", {{"approvals", {{{"role", "risk"}}}}})};
  const auto held = governance::holds(s.observed(), *s.o.rollouts[0], "", kNow);
  CHECK(held.waiting.reason == "PolicyUnsatisfied");
  CHECK(held.waiting.message.find("no pod template can be rendered for ModelVersion m-v2") != std::string::npos);
  CHECK(governance::holds(s.observed(), *s.o.rollouts[0], "r1", kNow).waiting.reason == "");
}

TEST_CASE("two policies that define a gate differently hold a rollout", "[governance]") {
  const auto gate = [](const char* min) { return Json{{"name", "g"}, {"version", {{"metric", "f1"}}}, {"min", min}}; };
  Scene s;
  s.rollout("r", "m-v2");
  s.o.policies = {policy_of("a", {{"gates", {gate("0.9")}}}), policy_of("b", {{"gates", {gate("0.8")}}})};
  const auto held = governance::holds(s.observed(), *s.o.rollouts[0], "r1", kNow);
  CHECK(held.waiting.reason == "PolicyUnsatisfied");
  CHECK(held.waiting.message == "ModelPolicies a and b define gate g differently: give one of them another name");
}

TEST_CASE("freeze windows", "[governance]") {
  struct Row {
    const char *window, *now, *until;
  };
  const Row rows[] = {
      {R"({"from": "2026-12-20T00:00:00Z", "to": "2027-01-02T00:00:00Z"})", "2026-12-19T23:59:59Z", ""},
      {R"({"from": "2026-12-20T00:00:00Z", "to": "2027-01-02T00:00:00Z"})", "2026-12-20T00:00:00Z", "2027-01-02T00:00:00Z"},
      {R"({"from": "2026-12-20T00:00:00+01:00", "to": "2027-01-02T00:00:00Z"})", "2026-12-19T23:30:00Z", "2027-01-02T00:00:00Z"},
      {R"({"from": "2026-12-20T00:00:00Z", "to": "2027-01-02T00:00:00Z"})", "2027-01-02T00:00:00Z", ""},
      // From Friday 17:00 in Berlin, for the weekend.
      {R"({"cron": "0 17 * * FRI", "timeZone": "Europe/Berlin", "duration": "63h"})", "2026-11-27T15:59:59Z", ""},
      {R"({"cron": "0 17 * * FRI", "timeZone": "Europe/Berlin", "duration": "63h"})", "2026-11-27T16:00:00Z",
       "2026-11-30T07:00:00Z"},
      {R"({"cron": "0 17 * * FRI", "timeZone": "Europe/Berlin", "duration": "63h"})", "2026-11-30T06:59:59Z",
       "2026-11-30T07:00:00Z"},
      {R"({"cron": "0 17 * * FRI", "timeZone": "Europe/Berlin", "duration": "63h"})", "2026-11-30T07:00:00Z", ""},
      // In summer an hour earlier by UTC.
      {R"({"cron": "0 17 * * FRI", "timeZone": "Europe/Berlin", "duration": "1h"})", "2026-07-03T15:30:00Z",
       "2026-07-03T16:00:00Z"},
      // Each begins before the one before it is over.
      {R"({"cron": "0 8 * * MON-FRI", "timeZone": "UTC", "duration": "25h"})", "2026-11-23T08:00:00Z", "2026-11-28T09:00:00Z"},
  };
  for (const Row& row : rows) {
    INFO(row.window << " at " << row.now);
    Json window = Json::parse(row.window);
    window["name"] = "w";
    const auto policy = policy_of("p", {{"freeze", {window}}});
    const auto until = governance::open_until(policy->freeze[0], at(row.now));
    REQUIRE(until);
    CHECK((*until ? format_time(**until) : "") == row.until);
    const auto freeze = governance::freeze_of({policy}, at(row.now));
    CHECK(freeze.why.empty() == std::string(row.until).empty());
  }
}

TEST_CASE("a window that cannot be read freezes, one that never ends says when it is looked at again", "[governance]") {
  const auto bad =
      policy_of("p", {{"freeze", {{{"name", "w"}, {"cron", "0 17 * * *"}, {"timeZone", "Mars/Olympus"}, {"duration", "1h"}}}}});
  const auto freeze = governance::freeze_of({bad}, kNow);
  CHECK_FALSE(freeze.problem.empty());
  CHECK(freeze.why.find("w of ModelPolicy p cannot be read, so rollouts do not advance") != std::string::npos);
  const auto ever =
      policy_of("p", {{"freeze", {{{"name", "w"}, {"cron", "* * * * *"}, {"timeZone", "UTC"}, {"duration", "87600h"}}}}});
  CHECK(governance::freeze_of({ever}, kNow).until > kNow);
  const auto warns = policy_of(
      "p",
      {{"enforcement", "Warn"}, {"freeze", {{{"name", "w"}, {"cron", "* * * * *"}, {"timeZone", "UTC"}, {"duration", "1h"}}}}});
  CHECK(governance::freeze_of({warns}, kNow).why == "");
}

// ---- approvals ----

namespace {

struct Ballot {
  Ballot() {
    rollout.meta = meta("r");
    rollout.model = "m";
    rollout.version = "m-v2";
    record.separate_author = true;
    record.authors = {"ann"};
    demand("risk", 1);
  }
  void demand(const std::string& role, int count) { record.approvals.push_back({role, count, api::kFirstTraffic}); }
  api::ModelApproval& say(const std::string& who, const std::string& role = "risk") {
    auto word = std::make_shared<api::ModelApproval>();
    word->meta = meta(who + "-" + role);
    word->rollout = "r";
    word->role = role;
    word->approver = who;
    word->subject = "s";
    word->approved = true;
    words.push_back(word);
    return *word;
  }
  governance::Tally count(const std::set<std::string>* among = nullptr) const {
    return governance::tally({rollout, record, api::kFirstTraffic, "s"}, {words.begin(), words.end()}, kNow, among);
  }
  api::ModelRollout rollout;
  api::GovernanceRecord record;
  std::vector<std::shared_ptr<api::ModelApproval>> words;
};

}  // namespace

TEST_CASE("whose word counts", "[governance]") {
  Ballot b;
  CHECK(governance::missing(b.count()) == "risk (0 of 1)");
  SECTION("one that is as it should be") {
    b.say("bob");
    CHECK(b.count().complete());
    CHECK(b.count().used[0].approver == "bob");
  }
  SECTION("not the author's") {
    b.say("ann");
    CHECK_FALSE(b.count().complete());
    CHECK(b.count().passed_over[0] == "ModelApproval ann-risk by ann does not count: the author of the change may not approve it");
  }
  SECTION("not of another subject, role or rollout") {
    b.say("bob").subject = "t";
    b.say("cat").role = "legal";
    b.say("dan").rollout = "other";
    CHECK(governance::missing(b.count()) == "risk (0 of 1)");
    CHECK(b.count().passed_over.size() == 2);
  }
  SECTION("not one that is being deleted, nor one that the API server no longer has") {
    b.say("bob").meta.deleting = true;
    b.say("cat");
    const std::set<std::string> there = {"uid-bob-risk"};
    CHECK(b.count().complete());
    CHECK_FALSE(b.count(&there).complete());
  }
  SECTION("only for a while") {
    b.record.approval_valid_for = std::chrono::hours(1);
    b.say("bob").meta.created = kNow - std::chrono::hours(1);
    CHECK_FALSE(b.count().complete());
    b.say("cat").meta.created = kNow - std::chrono::minutes(59);
    CHECK(b.count().complete());
    CHECK(b.count().expires == kNow + std::chrono::minutes(1));
  }
  SECTION("twice is once") {
    b.record.approvals[0].count = 2;
    b.say("bob");
    b.say("bob");
    CHECK(governance::missing(b.count()) == "risk (1 of 2)");
  }
  SECTION("a rejection by anybody of the role, the author too") {
    b.say("ann").approved = false;
    REQUIRE(b.count().rejected);
    CHECK(b.count().rejected->approver == "ann");
  }
  SECTION("who has approved for another role before") {
    b.record.cleared.push_back({api::kFirstTraffic, kNow, "s0", {{"legal", "bob", "x", "u"}}});
    b.say("bob");
    CHECK(governance::missing(b.count()) == "risk (0 of 1)");
  }
}

TEST_CASE("each person fills one role, and nobody is wasted", "[governance]") {
  Ballot b;
  b.demand("legal", 1);
  b.say("bob");
  b.say("bob", "legal");
  CHECK_FALSE(b.count().complete());
  // Cat may speak for risk alone, so that bob has to be the lawyer.
  b.say("cat");
  CHECK(b.count().complete());
  for (const auto& used : b.count().used) CHECK(used.approver == (used.role == "legal" ? "bob" : "cat"));
}

TEST_CASE("the subject is another once bits, policies or a gate's result are", "[governance]") {
  Ballot b;
  api::RolloutStatus status;
  status.digest = "sha256:a";
  status.governance = b.record;
  status.governance->policies = {{"p", "u", 1}};
  status.policy = policy();
  const std::string subject = governance::subject_of(b.rollout, status);
  CHECK(subject.size() == 71);
  CHECK(governance::subject_of(b.rollout, status) == subject);
  const auto differs = [&](const std::function<void(api::RolloutStatus&, api::ModelRollout&)>& edit) {
    api::RolloutStatus other = status;
    api::ModelRollout rollout = b.rollout;
    edit(other, rollout);
    return governance::subject_of(rollout, other) != subject;
  };
  CHECK(differs([](auto& s, auto&) { s.digest = "sha256:b"; }));
  CHECK(differs([](auto& s, auto&) { s.governance->policies[0].generation = 2; }));
  CHECK(differs([](auto& s, auto&) { s.policy->raw = "{}x"; }));
  CHECK(differs([](auto&, auto& r) { r.meta.uid = "made-anew"; }));
  CHECK(differs([](auto& s, auto&) { s.gates.push_back({"g", "Passed", "0.9", "", 1, 0, 0, {}, ""}); }));
  CHECK_FALSE(differs([](auto& s, auto&) { s.gates.push_back({"g", "Running", "0.9", "", 1, 0, 0, {}, ""}); }));
  CHECK_FALSE(differs([](auto& s, auto&) { s.message = "m"; }));
}
