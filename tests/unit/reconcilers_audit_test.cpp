// Which records a plan adds to a trail, and what becomes of them.
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "operator/api/statuses.h"
#include "operator/api/parse.h"
#include "operator/audit/verify.h"
#include "reconcilers/audit/trail.h"
#include "reconcilers/model/plan.h"
#include "tests/unit/reconcilers_make.h"

using namespace mo;
using namespace mo::test;

namespace {

Json last(const api::AuditStatus& audit) { return Json::parse(audit.records.back()); }

// A Model that serves m-v1 and rolls m-v2 out.
struct Rolling : Scene {
  Rolling() {
    serving("m-v1");
    model.version = model.status.spec_version = "m-v2";
    model.status.intent = {"m-v2", "Spec", "m-v2-2", "", "", "", kNow};
    rollout_ = &running("m-v2-2", "m-v2");
  }
  // As a plan would, with this of the rollout decided.
  api::AuditStatus decide(const std::function<void(api::RolloutStatus&)>& edit) {
    const Observed seen = observed();
    api::RolloutStatus next = rollout_->status;
    edit(next);
    model.status.audit = audit::record({seen, seen.model->status, rollout_, &next}, kNow);
    return model.status.audit;
  }
  api::ModelRollout* rollout_;
};

}  // namespace

TEST_CASE("a trail begins with what serves, and records each decision once", "[audit]") {
  Rolling r;
  CHECK(r.model.status.audit.seq == 0);
  const auto audit = r.decide([](auto& s) { s.candidate_weight = 10; });
  REQUIRE(audit.records.size() == 3);
  CHECK(audit::action_of(audit.records[0]) == "Began");
  CHECK(Json::parse(audit.records[0])["evidence"]["serves"]["version"] == "m-v1");
  CHECK(audit::action_of(audit.records[1]) == "RolloutStarted");
  CHECK(last(audit)["action"] == "TrafficAdvanced");
  CHECK(last(audit)["evidence"]["weight"] == 10);
  CHECK(last(audit)["evidence"]["weightBefore"] == 0);
  // The rollout's own status was not written before a crash: the same decision is no news.
  CHECK(r.decide([](auto& s) { s.candidate_weight = 10; }).seq == audit.seq);
  CHECK(r.decide([](auto& s) { s.candidate_weight = 50; }).seq == audit.seq + 1);
  const auto verified =
      audit::verify({{true, "", "ns/m", "uid-m", 1, 4, "", r.model.status.audit.head, r.model.status.audit.records, "", ""}},
                    {"ns/m", "uid-m", 4, r.model.status.audit.head});
  CHECK(verified->findings.empty());
}

TEST_CASE("pauses, approvals, rejections and skipped gates are told with who did it", "[audit]") {
  Rolling r;
  r.decide([](auto& s) { s.candidate_weight = 10; });
  r.rollout_->meta.generation = 2;
  const auto paused = [](auto& s) {
    s.candidate_weight = 10, s.paused_at = kNow, s.pause_reason = "Requested", s.message = "paused by desiredState";
  };
  CHECK(last(r.decide(paused))["actor"] == "unknown");
  r.rollout_->steered_by = "ann";
  CHECK(last(r.decide([](auto& s) { s.candidate_weight = 10; }))["action"] == "Resumed");
  CHECK(last(r.model.status.audit)["actor"] == "ann");
  const auto approved = [](auto& s) {
    s.candidate_weight = 10;
    s.governance.emplace();
    s.governance->policies = {{"high", "uid-high", 4}};
    s.governance->cleared = {
        {api::kFullTraffic, kNow, "sha256:s", {{"risk", "bob", "yes", "uid-yes"}, {"legal", "cat", "yes2", "uid-yes2"}}}};
  };
  const Json word = last(r.decide(approved));
  CHECK(word["action"] == "Approved");
  CHECK(word["actor"] == "bob, cat");
  CHECK(word["evidence"]["subject"] == "sha256:s");
  CHECK(word["policy"]["modelPolicies"] == Json{"high@4"});
  r.decide([&](auto& s) { approved(s), s.observed_state = "Promoted"; });
  CHECK(last(r.model.status.audit)["action"] == "GatesSkipped");
  const auto rejected = [&](auto& s) {
    approved(s), s.observed_state = "Promoted";
    s.ending = api::Ending{"Failed", "ApprovalRejected", "rejected by dan for role risk (ModelApproval no)", kNow, "no"};
  };
  auto no = std::make_shared<api::ModelApproval>();
  no->meta = meta("no");
  no->rollout = "m-v2-2", no->approver = "dan";
  r.o.approvals = {no};
  const Json end = last(r.decide(rejected));
  CHECK(end["action"] == "ApprovalRejected");
  CHECK(end["actor"] == "dan");
  CHECK(r.decide(rejected).seq == end["seq"].get<int64_t>());
}

TEST_CASE("whoever pauses and resumes all day makes few records, which lose nobody's name", "[audit]") {
  Rolling r;
  r.decide([](auto& s) { s.candidate_weight = 10; });
  r.rollout_->meta.generation = 2;
  TimePoint now = kNow;
  int flips = 0;
  const auto decide = [&](const std::function<void(api::RolloutStatus&)>& edit) {
    const Observed seen = r.observed();
    api::RolloutStatus next = r.rollout_->status;
    next.candidate_weight = 10;
    edit(next);
    r.model.status.audit = audit::record({seen, seen.model->status, r.rollout_, &next}, now);
  };
  const auto flip = [&](const std::string& who) {
    now += std::chrono::seconds(10);
    r.rollout_->steered_by = who + " " + format_time(now);
    const bool pause = flips++ % 2 == 0;
    decide([&](auto& s) {
      if (pause) s.paused_at = now, s.pause_reason = "Requested", s.message = "paused by desiredState";
    });
  };
  const auto actions = [&] {
    std::map<std::string, int> count;
    for (const std::string& line : r.model.status.audit.records) ++count[audit::action_of(line)];
    return count;
  };
  for (int i = 0; i < 3000; ++i) flip(i % 3 ? "ann" : "bob");
  CHECK((actions()["Paused"] == 10 && actions()["Resumed"] == 10));
  CHECK(actions()["Steered"] == 8);  // one an hour, of eight hours and a third
  CHECK(audit::counted_until(r.model.status.audit) > now);
  // What is counted is in the status that decides, and read as it was written.
  const Json object = {{"metadata", {{"name", "m"}}}, {"spec", Json::object()}, {"status", {{"audit", api::to_json(r.model.status.audit)}}}};
  CHECK(api::parse<api::Model>(object.dump())->status.audit.rollout == r.model.status.audit.rollout);
  // Before anything follows from it, a record says so.
  r.rollout_->steered_by = "cat " + format_time(now);
  decide([](auto& s) { s.candidate_weight = 50; });
  CHECK(r.model.status.audit.rollout.steering.empty());
  const auto& records = r.model.status.audit.records;
  REQUIRE(records.size() > 2);
  const Json counted = Json::parse(records[records.size() - 2]);
  CHECK((counted["action"] == "Steered" && last(r.model.status.audit)["action"] == "TrafficAdvanced"));
  CHECK(counted["object"]["name"] == "m-v2-2");
  int64_t all = 20;
  std::set<std::string> who;
  for (const std::string& line : records) {
    const Json record = Json::parse(line);
    if (record["action"] != "Steered") continue;
    for (const Json& one : record["evidence"]["steering"]) all += one["count"].get<int64_t>(), who.insert(one["actor"]);
  }
  CHECK(all == 3000);
  CHECK(who == std::set<std::string>{"ann", "bob"});
  // More people than are counted apart: told at once, so that nobody's name is lost.
  for (int i = 0; i < 100; ++i) flip("p" + std::to_string(i) + std::string(300, 'x'));
  for (const std::string& line : r.model.status.audit.records) {
    CHECK(line.size() <= audit::kLargestRecord);
    CHECK(line.find("leftOut") == std::string::npos);
  }
  CHECK(actions()["Steered"] > 9);
  const auto& trail = r.model.status.audit;
  CHECK(audit::verify({{true, "", "ns/m", "uid-m", 1, trail.seq, "", trail.head, trail.records, "", ""}}, {"ns/m", "uid-m", trail.seq, trail.head})->findings.empty());
  // The end tells the rest.
  flip("dan");
  decide([&](auto& s) { s.ending = api::Ending{"Aborted", "Aborted", "aborted by desiredState", now}; });
  CHECK((r.model.status.audit.rollout.steering.empty() && last(r.model.status.audit)["action"] == "Aborted"));
}

TEST_CASE("a rollout that is deleted, or that ends without a decision of this plan, is told", "[audit]") {
  Rolling r;
  r.decide([](auto& s) { s.candidate_weight = 10; });
  SECTION("deleted") {
    r.o.rollouts.clear();
    const Observed seen = r.observed();
    const auto audit = audit::record({seen, seen.model->status}, kNow);
    CHECK(last(audit)["action"] == "Aborted");
    CHECK(last(audit)["why"].get<std::string>().find("was deleted") != std::string::npos);
    CHECK(audit.rollout.ended == "Aborted");
  }
  SECTION("over in its own status") {
    r.rollout_->status.phase = "Succeeded";
    Observed seen = r.observed();
    api::ModelStatus next = seen.model->status;
    next.stable_version = "m-v2";
    const auto audit = audit::record({seen, next}, kNow);
    CHECK(last(audit)["action"] == "Succeeded");
    CHECK(last(audit)["evidence"]["serves"]["version"] == "m-v2");
  }
}

TEST_CASE("a segment ends with a rollout, is made by POST without an owner, and leaves the status once it is seen", "[audit]") {
  Rolling r;
  r.decide([](auto& s) { s.candidate_weight = 10; });
  CHECK(audit::seal(r.observed(), r.model.status.audit, {}).empty());
  const auto ended = [](auto& s) {
    s.candidate_weight = 10, s.ending = api::Ending{"RolledBack", "GateFailed", "gate accuracy failed", kNow};
  };
  auto audit = r.decide(ended);
  auto actions = audit::seal(r.observed(), audit, {});
  REQUIRE(actions.size() == 1);
  const auto& apply = std::get<Apply>(actions[0]);
  CHECK(apply.post);
  CHECK(apply.uid.empty());
  const Json body = Json::parse(apply.body);
  CHECK_FALSE(body["metadata"].contains("ownerReferences"));
  CHECK(body["spec"]["first"] == 1);
  CHECK(body["spec"]["last"] == 4);
  CHECK(body["spec"]["head"] == audit.head);
  CHECK_FALSE(body["spec"].contains("signature"));
  CHECK_FALSE(body["metadata"].contains("annotations"));
  audit::Settings named;
  named.installation = "ops/model-operator";
  const Json by = Json::parse(std::get<Apply>(audit::seal(r.observed(), audit, named)[0]).body);
  CHECK(by["metadata"]["annotations"]["modelops.dev/installation"] == "ops/model-operator");
  const std::string name = body["metadata"]["name"];
  CHECK(name == "m-000004-" + audit.head.substr(7, 10));
  // What comes after does not change it.
  r.o.rollouts.clear();
  r.rollout_ = &r.running("m-v3-3", "m-v3");
  audit = r.decide([](auto& s) { s.candidate_weight = 10; });
  CHECK(std::get<Apply>(audit::seal(r.observed(), audit, {})[0]).body == apply.body);
  r.o.audits = {name};
  audit = r.decide([](auto& s) { s.candidate_weight = 10; });
  CHECK(audit.records.size() == 2);
  CHECK(audit.first() == 5);
  CHECK(audit::seal(r.observed(), audit, {}).empty());
  CHECK(audit::only_sealed(Json{{"seq", 6}, {"records", {"a"}}}, Json{{"seq", 6}}));
  CHECK_FALSE(audit::only_sealed(Json(), Json{{"seq", 1}}));
  CHECK_FALSE(audit::only_sealed(Json{{"seq", 6}}, Json{{"seq", 6}, {"rollout", {{"toggles", 21}}}}));  // counted words are decisions
}

TEST_CASE("what cannot be sealed is told, bounded, and dropped with a record", "[audit]") {
  Rolling r;
  for (int i = 0; i < 260; ++i) r.decide([&](auto& s) { s.candidate_weight = 10, s.step_index = 1 + i % 2; });
  const api::AuditStatus& audit = r.model.status.audit;
  CHECK(audit.records.size() <= audit::kMostPending);
  bool told = false;
  for (const std::string& line : audit.records) told |= audit::action_of(line) == "RecordsDropped";
  CHECK(told);
  const Observed seen = r.observed();
  CHECK(audit::unsealed(seen, audit) == "");
  r.o.audits_denied = true;
  CHECK(audit::unsealed(r.observed(), audit).find("may not watch ModelAudits") != std::string::npos);
  CHECK(audit::seal(r.observed(), audit, {}).empty());
  r.o.audits_denied = false;
  const ObjectRef target = std::get<Apply>(audit::seal(seen, audit, {})[0]).target;
  r.o.refusals = {{target, Error{ErrorKind::Forbidden, "exceeded quota", 403, {}, {}}, "", kNow}};
  CHECK(audit::unsealed(r.observed(), audit).find("cannot be created: exceeded quota") != std::string::npos);
}

TEST_CASE("status.audit is read as it was written", "[audit]") {
  Rolling r;
  const auto audit = r.decide([](auto& s) { s.candidate_weight = 10, s.mirroring_since = kNow, s.attempt = 2; });
  const Json object = {{"metadata", {{"name", "m"}}}, {"spec", Json::object()}, {"status", {{"audit", api::to_json(audit)}}}};
  const auto parsed = api::parse<api::Model>(object.dump());
  REQUIRE(parsed);
  CHECK(parsed->status.audit.seq == audit.seq);
  CHECK(parsed->status.audit.head == audit.head);
  CHECK(parsed->status.audit.records == audit.records);
  CHECK(parsed->status.audit.rollout == audit.rollout);
}
