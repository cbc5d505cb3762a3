// What statuses say: conditions with kstatus meaning, phases of Models, rollouts and versions.
#include <catch2/catch.hpp>

#include "reconcilers/model/plan.h"
#include "reconcilers/model/status.h"
#include "reconcilers/model/statuses.h"
#include "reconcilers/rollout/status.h"
#include "reconcilers/version/phase.h"
#include "tests/unit/reconcilers_make.h"

namespace mo {
namespace {

using test::kNow;
using test::Scene;

// Plans until the Model's status settles, as if every status were written and nothing else done.
Json status_of(Scene& s, Kind kind = Kind::Model, const std::string& name = "m") {
  const Plan plan = model::plan(s.observed(), kNow, test::kSettings);
  for (const Action& action : plan.actions)
    if (const auto* write = std::get_if<WriteStatus>(&action);
        write && write->target == ObjectRef{kind, {"ns", name}})
      return Json::parse(write->status);
  return {};
}

std::string condition(const Json& status, const std::string& type, const char* field = "status") {
  for (const Json& c : status.at("conditions"))
    if (c["type"] == type) return c[field];
  return "";
}

struct Expected {
  const char *phase, *ready, *reconciling, *stalled, *available, *reason;
};

void check(const Json& status, const Expected& e) {
  INFO(status.dump(1));
  CHECK(status["phase"] == e.phase);
  CHECK(condition(status, "Ready") == e.ready);
  CHECK(condition(status, "Reconciling") == e.reconciling);
  CHECK(condition(status, "Stalled") == e.stalled);
  CHECK(condition(status, "Available") == e.available);
  CHECK(condition(status, "Ready", "reason") == e.reason);
  CHECK(status["observedGeneration"] == 1);
}

TEST_CASE("a Model that serves what its spec asks for is Ready") {
  Scene s;
  s.serving("m-v1");
  const Json status = status_of(s);
  check(status, {"Ready", "True", "False", "False", "True", "Ready"});
  CHECK(status["traffic"] == Json::parse(R"([{"version": "m-v1", "weight": 100}])"));
  CHECK(status["trafficSummary"] == "m-v1 100%");
  CHECK(status["ready"] == "2/2");
  CHECK(status["replicas"] == 2);
  CHECK(status["selector"] == "modelops.dev/model=m");
}

TEST_CASE("a first version on its way is reconciling and not available") {
  Scene s;
  check(status_of(s), {"Progressing", "False", "True", "False", "False", "Deploying"});
}

TEST_CASE("in a canary the Model is available and reconciling") {
  Scene s;
  s.serving("m-v1");
  s.model.version = s.model.status.spec_version = "m-v2";
  s.model.status.intent = {"m-v2", "Spec", "m-v2-2", "", "", "", kNow};
  s.running("m-v2-2", "m-v2").status.candidate_weight = 10;
  const Json status = status_of(s);
  check(status, {"Progressing", "False", "True", "False", "True", "RolloutInProgress"});
  CHECK(status["candidateVersion"] == "m-v2");
  CHECK(status["rollout"] == "m-v2-2");
}

TEST_CASE("a paused rollout shows on the Model") {
  Scene s;
  s.serving("m-v1");
  s.model.version = s.model.status.spec_version = "m-v2";
  s.model.status.intent = {"m-v2", "Spec", "m-v2-2", "", "", "", kNow};
  s.running("m-v2-2", "m-v2").desired_state = "Paused";
  check(status_of(s), {"Paused", "False", "True", "False", "True", "RolloutPaused"});
}

// Between the intent and its ModelRollout the Model said Overridden and Stalled for a moment.
TEST_CASE("a rollout that is about to start is no override") {
  Scene s;
  s.serving("m-v1");
  s.model.version = "m-v2";
  const Plan first = model::plan(s.observed(), kNow, test::kSettings);
  REQUIRE(first.actions.size() == 1);
  CHECK(std::get<Apply>(first.actions[0]).target == ObjectRef{Kind::ModelRollout, {"ns", "m-v2-1"}});
  CHECK(first.at_once);
  SECTION("once it is there") { s.rollout("m-v2-1", "m-v2", "spec"); }
  SECTION("while one of that name is being deleted") { s.rollout("m-v2-1", "m-v2", "spec").meta.deleting = true; }
  check(status_of(s), {"Progressing", "False", "True", "False", "True", "RolloutInProgress"});
}

TEST_CASE("a rollout that cannot be made holds nothing else up, and the Model says why") {
  Scene s;
  s.serving("m-v1");
  s.model.version = "m-v2";
  const Apply make = std::get<Apply>(model::plan(s.observed(), kNow, test::kSettings).actions[0]);
  s.o.refusals = {{make.target, Error{ErrorKind::Forbidden, "exceeded quota", 403, {}, {}}, make.hash, kNow}};
  const Json status = status_of(s);
  check(status, {"Degraded", "False", "False", "True", "True", "ApplyRefused"});
  CHECK(status["intent"]["rollout"] == "m-v2-1");
}

// A ModelRollout is made before any status, after the delete of a record that is registered anew; refused, that delete had held up everything.
TEST_CASE("a record that cannot be deleted holds nothing else up") {
  Scene s;
  s.serving("m-v1");
  s.model.version.reset();
  s.model.artifact = api::Artifact{"http://x/y", "sha256:0123456789abcdef", {"rules", "1"}};
  api::ModelVersion& record = s.version("m-0123456789");
  record.artifact = *s.model.artifact;
  record.artifact.uri = "http://elsewhere/y";
  record.meta.controller_uid = s.model.meta.uid;
  const Plan first = model::plan(s.observed(), kNow, test::kSettings);
  REQUIRE_FALSE(first.actions.empty());
  const auto* removal = std::get_if<Delete>(&first.actions[0]);
  REQUIRE(removal);
  s.o.refusals = {{removal->target, Error{ErrorKind::Forbidden, "nobody deletes records", 403, {}, {}}, "", kNow}};
  CHECK(status_of(s)["message"].get<std::string>().find("nobody deletes records") != std::string::npos);
}

TEST_CASE("what went wrong stalls, while what served serves on") {
  struct Row {
    const char *outcome, *reason;
  };
  for (const Row& row :
       {Row{"RolledBack", "RolledBack"}, Row{"Aborted", "RolloutAborted"}, Row{"Failed", "RolloutFailed"}}) {
    Scene s;
    s.serving("m-v1");
    s.model.version = "m-v2";
    s.rollout("m-v2-1", "m-v2", "spec");
    const Json asked = status_of(s);
    s.o.rollouts.clear();
    s.model.status.spec_version = "m-v2";
    s.model.status.spec_revision = asked["spec"]["revision"];
    s.model.status.intent = {"m-v2",      "Spec",       "m-v2-1",
                             row.outcome, "GateFailed", "gate accuracy failed: 0.5 is below min 0.9",
                             kNow};
    const Json status = status_of(s);
    check(status, {"Degraded", "False", "False", "True", "True", row.reason});
    CHECK(status["message"].get<std::string>().find("0.5 is below min 0.9; m-v1 keeps serving") !=
          std::string::npos);
  }
}

TEST_CASE("overridden until the spec agrees, unless it follows promotions") {
  Scene s;
  s.model.version = "m-v1";
  s.serving("m-v2");
  s.model.status.spec_version = "m-v1";
  s.model.status.intent = {"m-v2", "Rollout", "mine", "Succeeded", "", "", kNow};
  SECTION("Pinned") { check(status_of(s), {"Degraded", "False", "False", "True", "True", "Overridden"}); }
  SECTION("Promoted") {
    s.model.track = "Promoted";
    check(status_of(s), {"Ready", "True", "False", "False", "True", "Ready"});
  }
}

TEST_CASE("what is missing stalls, and degrades only what serves") {
  Scene s;
  SECTION("a version, with nothing serving") {
    s.model.version = "m-v9";
    check(status_of(s), {"Pending", "False", "False", "True", "False", "VersionNotFound"});
  }
  SECTION("a version, with another serving") {
    s.serving("m-v1");
    s.model.version = "m-v9";
    check(status_of(s), {"Degraded", "False", "False", "True", "True", "VersionNotFound"});
  }
  SECTION("a runtime") {
    s.o.runtimes.clear();
    check(status_of(s), {"Pending", "False", "False", "True", "False", "RuntimeNotFound"});
  }
  SECTION("any version and any way to make one") {
    s.model.version.reset();
    check(status_of(s), {"Pending", "False", "False", "True", "False", "NoVersion"});
  }
  SECTION("any version yet") {
    s.model.version.reset();
    s.model.retraining.emplace();
    s.model.retraining->job_template = "{}";
    check(status_of(s), {"Pending", "False", "True", "False", "False", "AwaitingRetraining"});
  }
}

// Each of them, cut inside a character, made dump() throw at every reconcile: the Model froze.
TEST_CASE("a long text of characters of several bytes is cut whole in status") {
  std::string accents;
  for (int i = 0; i < 1'000; ++i) accents += "\u00e9";
  Scene s;
  s.serving("m-v1");
  api::Retraining& retraining = s.model.retraining.emplace();
  retraining.job_template = "{}";
  SECTION("a digest") {
    api::Trigger trigger;
    trigger.name = "data";
    trigger.dataset = api::Trigger::ConfigMapKeyRef{"set", "digest"};
    retraining.triggers = {trigger};
    s.o.configmaps["set"] = "5";
    s.o.answers["dataset/uid-m/data/digest@5"].text = "x" + accents;
    const Json status = status_of(s);
    CHECK(status["retraining"]["datasets"][0]["digest"] == "x" + accents.substr(0, 254));
  }
  SECTION("the result of a run") {
    s.model.status.retraining.run = api::RetrainingRun{1, "m-run-000001", "requested", kNow, "uid-m-run-000001"};
    auto run = std::make_shared<api::TrainingRun>();
    run->meta = test::meta("m-run-000001");
    run->meta.controller_uid = "uid-m";
    run->status.phase = "Rejected";
    const bool odd = GENERATE(true, false);
    run->status.message = (odd ? "x" : "") + accents;
    run->status.finished = kNow;
    s.o.runs = {run};
    const std::string result = status_of(s)["retraining"]["lastResult"];
    CHECK(result.starts_with("Rejected: "));
    CHECK(result.size() >= 1'023);
    CHECK(result.size() <= 1'024);
  }
}

TEST_CASE("a spec that cannot be read serves on and says so") {
  Scene s;
  s.serving("m-v1");
  s.model.problem = "spec.rollout.steps[0].weight: is not a whole number";
  const Json status = status_of(s);
  check(status, {"Degraded", "False", "False", "True", "True", "InvalidSpec"});
  CHECK(status["message"] == s.model.problem);
}

TEST_CASE("what the API server refuses is shown word for word, as long as it would be written again") {
  Scene s;
  const Plan plan = model::plan(s.observed(), kNow, test::kSettings);
  for (const Action& action : plan.actions)
    if (const auto* apply = std::get_if<Apply>(&action); apply && apply->target.kind == Kind::Deployment)
      s.o.refusals = {{apply->target,
                       {ErrorKind::Invalid, "spec.template: Invalid value", 422, "Invalid", {}},
                       apply->hash,
                       kNow}};
  REQUIRE(s.o.refusals.size() == 1);
  const Json status = status_of(s);
  check(status, {"Pending", "False", "False", "True", "False", "ApplyRefused"});
  CHECK(status["message"] == "Deployment ns/m-v1: spec.template: Invalid value");
  s.o.refusals[0].body_hash = "of an earlier wish";
  CHECK(condition(status_of(s), "Ready", "reason") == "Deploying");
}

TEST_CASE("lastTransitionTime moves only when status does") {
  Scene s;
  s.serving("m-v1");
  s.model.status.conditions = {{"Ready", "True", "Other", "other words", kNow - std::chrono::hours(1), 1},
                               {"Stalled", "True", "Other", "", kNow - std::chrono::hours(1), 1}};
  const Json status = status_of(s);
  CHECK(condition(status, "Ready", "lastTransitionTime") == "2026-11-22T08:00:00Z");
  CHECK(condition(status, "Stalled", "lastTransitionTime") == "2026-11-22T09:00:00Z");
}

TEST_CASE("a status that says the same is not written again") {
  Scene s;
  s.serving("m-v1");
  for (const auto& v : s.o.versions)
    if (v->meta.key.name == "m-v1") {
      auto serving = std::make_shared<api::ModelVersion>(*v);
      serving->phase = "Serving";
      serving->message = "serves Model m";
      serving->served = true;
      s.o.versions = {serving};
    }
  const Json status = status_of(s);
  s.model.status.raw = status.dump();
  s.model.status.spec_revision = status["spec"]["revision"];
  for (const Json& c : status["conditions"])
    s.model.status.conditions.push_back({c["type"], c["status"], c["reason"], c["message"], kNow, 1});
  const Plan plan = model::plan(s.observed(), kNow + std::chrono::hours(1), test::kSettings);
  CHECK(plan.actions.empty());
  CHECK_FALSE(plan.requeue_after);
}

TEST_CASE("only counts of pods may wait to be written") {
  const Json before = {{"phase", "Progressing"},
                       {"readyReplicas", 1},
                       {"ready", "1/2"},
                       {"message", "1/2"},
                       {"conditions", {{{"type", "Ready"}, {"status", "False"}, {"message", "1/2"}}}}};
  Json counted = before;
  counted["readyReplicas"] = 2;
  counted["message"] = counted["conditions"][0]["message"] = "2/2";
  CHECK(model::only_counts_differ(before, counted));
  Json ready = counted;
  ready["conditions"][0]["status"] = "True";
  CHECK_FALSE(model::only_counts_differ(before, ready));
  CHECK_FALSE(model::only_counts_differ(Json(), ready));
}

TEST_CASE("decisions are on record before anything acts on them") {
  Scene s;
  s.serving("m-v1");
  s.model.version = s.model.status.spec_version = "m-v2";
  s.model.status.intent = {"m-v2", "Spec", "m-v2-2", "", "", "", kNow};
  s.rollout("m-v2-2", "m-v2", "spec");
  bool acted = false;
  for (const Action& action : model::plan(s.observed(), kNow, test::kSettings).actions) {
    if (std::holds_alternative<WriteStatus>(action)) CHECK_FALSE(acted);
    acted |= !std::holds_alternative<WriteStatus>(action);
  }
  CHECK(acted);
}

// ---- ModelRollout ----

TEST_CASE("a rollout's conditions in each phase") {
  struct Row {
    const char *phase, *ready, *reconciling, *stalled, *complete, *succeeded;
  };
  const Row rows[] = {
      {"Pending", "False", "True", "False", "False", "False"},
      {"Progressing", "False", "True", "False", "False", "False"},
      {"Paused", "False", "True", "False", "False", "False"},
      {"Succeeded", "True", "False", "False", "True", "True"},
      {"RolledBack", "False", "False", "True", "True", "False"},
      {"Failed", "False", "False", "True", "True", "False"},
      {"Aborted", "True", "False", "False", "True", "False"},
      {"Superseded", "True", "False", "False", "True", "False"},
  };
  for (const Row& row : rows) {
    INFO(row.phase);
    api::ModelRollout r;
    r.meta = test::meta("r");
    r.status.phase = row.phase;
    const Json status = rollout::render_status(r, r.status, {}, "", kNow);
    CHECK(condition(status, "Ready") == row.ready);
    CHECK(condition(status, "Reconciling") == row.reconciling);
    CHECK(condition(status, "Stalled") == row.stalled);
    CHECK(condition(status, "Complete") == row.complete);
    CHECK(condition(status, "Succeeded") == row.succeeded);
  }
}

TEST_CASE("a rollout that cannot start is stalled, one that waits is not") {
  api::ModelRollout r;
  r.meta = test::meta("r");
  r.status.phase = "Pending";
  CHECK(condition(rollout::render_status(r, r.status, {"VersionNotFound", "no", true}, "", kNow), "Stalled",
                  "reason") == "VersionNotFound");
  CHECK(condition(rollout::render_status(r, r.status, {"WaitingForRollout", "waits", false}, "", kNow),
                  "Stalled") == "False");
}

TEST_CASE("edits of a rollout that is over are observed and change nothing else") {
  Scene s;
  s.serving("m-v1");
  api::ModelRollout& r = s.running("old", "m-v1", "");
  r.status.phase = "Succeeded";
  r.status.finished = kNow;
  r.status.observed_generation = 1;
  CHECK(status_of(s, Kind::ModelRollout, "old").is_null());
  r.meta.generation = 2;
  r.desired_state = "Aborted";
  const Json status = status_of(s, Kind::ModelRollout, "old");
  CHECK(status["observedGeneration"] == 2);
  CHECK(status["phase"] == "Succeeded");
}

// ---- ModelVersion ----

TEST_CASE("a version's phases") {
  struct Row {
    const char *before, *stable, *candidate, *rejected, *last_rollout, *after;  // after "": stays
  };
  const Row rows[] = {
      {"", "m-v1", "", "", "", ""},
      {"Registered", "m-v1", "m-v2", "", "", "Candidate"},
      {"Candidate", "m-v2", "", "", "Succeeded", "Serving"},
      {"Candidate", "m-v1", "", "", "RolledBack", "Rejected"},
      {"Candidate", "m-v1", "", "", "Failed", "Rejected"},
      {"Candidate", "m-v1", "", "", "Aborted", "Registered"},
      {"Candidate", "m-v1", "", "", "Superseded", "Registered"},
      {"Rejected", "m-v1", "m-v2", "", "RolledBack", "Candidate"},
      {"Serving", "m-v3", "", "", "", "Superseded"},
      {"Serving", "", "", "", "", "Superseded"},
      {"Registered", "m-v1", "", "m-v2", "", "Rejected"},
      {"Superseded", "m-v3", "", "", "RolledBack", ""},
  };
  for (const Row& row : rows) {
    INFO(row.before << " with stable " << row.stable << " after " << row.last_rollout);
    Scene s;
    if (*row.last_rollout) {
      api::ModelRollout& r = s.rollout("r", "m-v2");
      r.status.phase = row.last_rollout;
      r.status.finished = kNow;
    }
    api::ModelVersion v = *s.o.named["m-v2"];
    v.phase = row.before;
    v.served = v.phase == "Superseded";
    const auto next =
        version::next_status(v, {row.stable, row.candidate, row.rejected, "why"}, s.observed(), kNow);
    CHECK((next ? (*next)["phase"].get<std::string>() : "") == row.after);
  }
}

}  // namespace
}  // namespace mo
