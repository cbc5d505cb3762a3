// What goes of what is over, and what has to stay.
#include <catch2/catch.hpp>

#include <algorithm>

#include "operator/api/parse.h"
#include "reconcilers/history/history.h"
#include "reconcilers/model/plan.h"
#include "reconcilers/version/phase.h"
#include "tests/unit/reconcilers_make.h"

namespace mo::history {
namespace {

using test::kNow;
using test::Scene;
using std::chrono::hours;

std::vector<std::string> deleted(const std::vector<Action>& actions) {
  std::vector<std::string> names;
  for (const Action& action : actions)
    if (const auto* removal = std::get_if<Delete>(&action)) names.push_back(removal->target.key.name);
  return names;
}

// Version m-v1 serves, by the spec; rollouts r-1, r-2, … ended an hour apart, the last an hour ago.
struct Past : Scene {
  Past() {
    serving("m-v1");
    model.history = {2, 2};
  }
  api::ModelRollout& ended(const std::string& phase, const std::string& to = "m-v2", const std::string& origin = "spec") {
    for (auto& r : rollouts) r->status.finished = *r->status.finished - hours(1);
    api::ModelRollout& r = rollout("r-" + std::to_string(rollouts.size() + 1), to, origin);
    r.status.phase = phase;
    r.status.started = r.status.finished = kNow - hours(1);
    r.status.from_version = "m-v1";
    r.status.observed_generation = 1;
    if (origin == "spec" || origin == "retraining") r.meta.controller_uid = "uid-m";
    rollouts.push_back(&r);
    return r;
  }
  // Registered by the operator, the later the younger.
  api::ModelVersion& made(const std::string& name) {
    api::ModelVersion& v = version(name);
    v.meta.controller_uid = "uid-m";
    v.meta.created = kNow - hours(100) + hours(++versions);
    v.phase = "Superseded";
    return v;
  }
  std::vector<std::string> gone(bool rolling = false) {
    const Observed& o = observed();
    return deleted(prune(o, o.model->status, model.version.value_or(""), rolling));
  }
  std::vector<api::ModelRollout*> rollouts;
  int versions = 0;
};

using Names = std::vector<std::string>;

TEST_CASE("finished rollouts beyond the limit go, the oldest first") {
  Past p;
  for (int i = 0; i < 5; ++i) p.ended("RolledBack");
  CHECK(p.gone() == Names{"r-1", "r-2", "r-3"});
  const Observed& o = p.observed();
  const auto actions = prune(o, o.model->status, "m-v1", false);
  const auto& removal = std::get<Delete>(actions.at(0));
  CHECK(removal.uid == "uid-r-1");
  CHECK(removal.resource_version == "1");
  CHECK(removal.target.kind == Kind::ModelRollout);
}

TEST_CASE("a rollout stays that a decision may need") {
  Past p;
  for (int i = 0; i < 4; ++i) p.ended("RolledBack");
  SECTION("the one that the intent names: to delete it would put its failure aside") {
    p.model.status.intent.rollout = "r-1";
    CHECK(p.gone() == Names{"r-2"});
  }
  SECTION("the one that the spec's wish would be made as: it would run again") {
    p.rollouts[0]->meta.key.name = "m-v1-1";
    p.model.status.spec_version = "m-v1";
    p.model.status.spec_generation = 1;
    CHECK(p.gone() == Names{"r-2"});
  }
  SECTION("one whose last spec nobody has looked at yet") {
    p.rollouts[0]->meta.generation = 2;
    CHECK(p.gone() == Names{"r-2"});
  }
  SECTION("one that is not over, however old") {
    p.rollouts[0]->status.phase = "Progressing";
    CHECK(p.gone() == Names{"r-2"});
  }
  SECTION("one that is being deleted counts no more") {
    p.rollouts[0]->meta.deleting = true;
    CHECK(p.gone() == Names{"r-2"});
  }
}

TEST_CASE("the last promotions stay, whatever failed since: rollback goes back by them") {
  Past p;
  for (int i = 0; i < 5; ++i) p.ended("Succeeded");
  for (int i = 0; i < 3; ++i) p.ended("Failed");
  CHECK(p.gone() == Names{"r-1", "r-2", "r-6"});
}

// What a file holds comes back by the next apply or sync, and would run.
TEST_CASE("of rollouts that people wrote only those go that nobody writes again") {
  Past p;
  p.ended("RolledBack", "m-v2", "");
  p.ended("RolledBack", "m-v2", "").generated_name = true;
  p.ended("RolledBack", "m-v2", api::kOriginPlugin);
  p.ended("RolledBack", "m-v2", "retraining");
  p.ended("RolledBack").meta.controller_uid.clear();  // it only says so
  p.ended("RolledBack");
  p.ended("RolledBack");
  CHECK(p.gone() == Names{"r-2", "r-3", "r-4"});
}

TEST_CASE("a plan deletes a few at a time") {
  Past p;
  for (int i = 0; i < 40; ++i) p.ended("RolledBack");
  CHECK(p.gone().size() == kMostAtOnce);
  CHECK(p.gone().front() == "r-1");
}

TEST_CASE("versions that the operator registered go beyond the limit, the oldest first; people's stay") {
  Past p;
  for (const char* name : {"m-a", "m-b", "m-c", "m-d"}) p.made(name);
  CHECK(p.gone() == Names{"m-a", "m-b"});
}

TEST_CASE("a version stays that serves, or that something names") {
  Past p;
  for (const char* name : {"m-a", "m-b", "m-c", "m-d"}) p.made(name);
  SECTION("it serves") { p.model.status.stable_version = "m-a"; }
  SECTION("it is warm") { p.model.status.warm = {"m-a"}; }
  SECTION("the spec asks for it") { p.model.version = "m-a"; }
  SECTION("the intent is to move there") { p.model.status.intent.version = "m-a"; }
  SECTION("a rollout to it is running") { p.running("live", "m-a"); }
  SECTION("a rollout that stays went to it") { p.ended("RolledBack", "m-a"); }
  SECTION("a rollout that stays came from it") { p.ended("Succeeded").status.from_version = "m-a"; }
  SECTION("pods of it are still there") { p.deployment("m-a", 1); }
  SECTION("it says so itself") { const_cast<api::ModelVersion&>(*p.o.version("m-a")).phase = "Serving"; }
  CHECK(p.gone() == Names{"m-b"});
}

TEST_CASE("a version that only a rollout named goes once that one has gone") {
  Past p;
  for (const char* name : {"m-a", "m-b", "m-c"}) p.made(name);
  p.ended("RolledBack", "m-a");
  p.ended("RolledBack");
  p.ended("RolledBack");
  CHECK(p.gone() == Names{"r-1", "m-a"});
}

// Its bits may be those of an old version, which a rollout is about to name.
TEST_CASE("no version goes while the result of a run is being judged") {
  Past p;
  for (const char* name : {"m-a", "m-b", "m-c"}) p.made(name);
  p.model.status.retraining.run = api::RetrainingRun{1, "m-run-000001", "t", kNow};
  auto run = std::make_shared<api::TrainingRun>();
  run->meta = test::meta("m-run-000001");
  p.o.runs = {run};
  CHECK(p.gone() == Names{"m-a"});
  run->status.result = api::TrainedResult{};
  CHECK(p.gone().empty());
}

TEST_CASE("finished training runs go beyond spec.history.runs, the oldest first, and never what people named or what is running") {
  Past p;
  p.model.history.runs = 2;
  const auto add = [&](const std::string& name, int hour, const std::string& owner) {
    auto run = std::make_shared<api::TrainingRun>();
    run->meta = test::meta(name);
    run->meta.controller_uid = owner;
    run->status.phase = "Failed";
    run->status.observed_generation = 1;
    run->status.finished = kNow + std::chrono::hours(hour);
    p.o.runs.push_back(run);
    return run;
  };
  add("m-run-000002", 2, "uid-m");
  add("m-run-000001", 1, "uid-m");
  add("try-c", 0, "");
  add("try-x7z", 0, "")->generated_name = true;
  add("m-run-000003", 3, "uid-m");
  add("m-run-000004", 4, "uid-m");
  p.model.status.retraining.run = api::RetrainingRun{4, "m-run-000004", "t", kNow};  // its Model is to hear of the end
  CHECK(p.gone() == Names{"try-x7z", "m-run-000001"});
}

TEST_CASE("history that may not be deleted holds up no rollout") {
  Past p;
  for (int i = 0; i < 4; ++i) p.ended("RolledBack");
  p.o.refusals = {{{Kind::ModelRollout, {"ns", "r-1"}}, Error{ErrorKind::Forbidden, "no", 403, {}, {}}, "", kNow}};
  CHECK(p.gone(true).empty());
  CHECK(p.gone() == Names{"r-1", "r-2"});
}

TEST_CASE("a plan deletes history last, after all statuses") {
  Past p;
  for (int i = 0; i < 3; ++i) p.ended("RolledBack");
  const Plan plan = model::plan(p.observed(), kNow, test::kSettings);
  REQUIRE(!plan.actions.empty());
  const auto* last = std::get_if<Delete>(&plan.actions.back());
  REQUIRE(last);
  CHECK(last->target.key.name == "r-1");
}

// ---- what is remembered of what went ----

TEST_CASE("a version remembers the rollout that failed, and that it served") {
  Past p;
  api::ModelVersion& v = p.made("m-a");
  const auto status = [&](const char* stable, const char* candidate) {
    const auto next = version::next_status(v, {stable, candidate, "", ""}, p.observed(), kNow);
    return next ? *next : Json();
  };
  SECTION("Rejected by a rollout") {
    v.phase = "Candidate";
    p.ended("RolledBack", "m-a").status.message = "gate accuracy failed";
    const Json next = status("m-v1", "");
    CHECK(next["phase"] == "Rejected");
    CHECK(next["failedRollout"] == "r-1");
    v.phase = "Rejected";
    v.message = "gate accuracy failed";
    v.failed_rollout = "r-1";
    p.o.rollouts.clear();
    CHECK(status("m-v1", "").is_null());  // nothing to write when the rollout has gone
  }
  SECTION("one that was Rejected before this was told") {
    v.phase = "Rejected";
    v.message = "m";
    p.ended("RolledBack", "m-a");
    CHECK(status("m-v1", "")["failedRollout"] == "r-1");
  }
  SECTION("it is tried again") {
    v.phase = "Rejected";
    v.failed_rollout = "r-1";
    CHECK(!status("m-v1", "m-a").contains("failedRollout"));
  }
  SECTION("it serves") {
    CHECK(status("m-a", "")["served"] == true);
    v.served = true;
    v.phase = "Candidate";
    p.ended("RolledBack", "m-a");
    CHECK(status("m-v1", "")["served"] == true);
  }
}

// ---- what is kept of it in memory ----

Json finished_rollout() {
  Json gates = Json::array();
  for (int i = 0; i < 5; ++i) gates.push_back({{"name", "g" + std::to_string(i)}, {"verdict", "Passed"}, {"passed", 1}});
  return {{"metadata", {{"name", "r"}, {"namespace", "ns"}, {"uid", "u"}, {"resourceVersion", "7"}, {"generation", 2}, {"generateName", "r-"}}},
          {"spec", {{"modelRef", {{"name", "m"}}}, {"version", "m-v2"}}},
          {"status",
           {{"phase", "Succeeded"},
            {"message", "m-v2 serves all traffic"},
            {"observedGeneration", 2},
            {"fromVersion", "m-v1"},
            {"finishedAt", "2026-11-22T09:00:00Z"},
            {"gates", gates},
            {"conditions", {{{"type", "Ready"}, {"status", "True"}}}},
            {"policy", {{"steps", {{{"weight", 10}}}}}}}}};
}

TEST_CASE("of a rollout that is over little is kept, once all is written") {
  Json json = finished_rollout();
  SECTION("it is") {
    const auto r = api::parse<api::ModelRollout>(json.dump());
    REQUIRE(r);
    CHECK(r->status.raw.empty());
    CHECK(!r->status.policy);
    CHECK(r->status.gates.empty());
    CHECK(r->status.from_version == "m-v1");
    CHECK(r->status.message == "m-v2 serves all traffic");
    CHECK(r->generated_name);
  }
  SECTION("its spec was changed since: status is written once more, whole") {
    json["metadata"]["generation"] = 3;
    const auto r = api::parse<api::ModelRollout>(json.dump());
    REQUIRE(r);
    CHECK(r->status.policy);
    CHECK(r->status.gates.size() == 5);
    CHECK(!r->status.raw.empty());
  }
  SECTION("it is running") {
    json["status"].erase("finishedAt");
    const auto r = api::parse<api::ModelRollout>(json.dump());
    REQUIRE(r);
    CHECK(r->status.policy);
  }
}

}  // namespace
}  // namespace mo::history
