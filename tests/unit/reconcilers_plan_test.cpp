// What the parts of a plan mean to each other.
#include <catch2/catch.hpp>

#include "reconcilers/model/plan.h"
#include "reconcilers/training/training.h"
#include "tests/unit/reconcilers_make.h"

namespace mo::model {
namespace {

using test::kNow;
using test::Scene;

// The kinds of what is made or scaled, in order, once for each.
std::vector<Kind> order(const Plan& plan) {
  std::vector<Kind> kinds;
  for (const Action& action : plan.actions) {
    const auto* apply = std::get_if<Apply>(&action);
    const auto* scale = std::get_if<Scale>(&action);
    const Kind kind = apply ? apply->target.kind : scale ? scale->target.kind : Kind::Model;
    if (kind != Kind::Model && (kinds.empty() || kinds.back() != kind)) kinds.push_back(kind);
  }
  return kinds;
}

Scene training_and_scaling() {
  Scene s;
  s.serving("m-v1");
  s.model.track = "Promoted";
  s.model.retraining.emplace();
  s.model.retraining->job_template = R"({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}})";
  s.model.retraining->requested_at = kNow;
  s.model.replicas = 3;
  // Run 1 is on record, and there.
  s.model.status.retraining.run_number = 1;
  s.model.status.retraining.observed_request = kNow;
  s.model.status.retraining.run = api::RetrainingRun{1, "m-run-000001", "requested", kNow};
  auto run = std::make_shared<api::TrainingRun>();
  run->meta = test::meta("m-run-000001");
  run->meta.controller_uid = "uid-m";
  run->model = "m";
  s.o.runs = {run};
  return s;
}

Scene training_later() {
  Scene s = training_and_scaling();
  s.o.runs.clear();
  s.model.status.retraining = {};
  return s;
}

// One look at retraining, whose status the Model has then.
training::Planned look_at_retraining(Scene& s, TimePoint at) {
  const Observed& o = s.observed();
  training::Planned planned = training::plan(o, rollout::resolve(o), "m-v1", false, {}, test::kSettings, at);
  s.model.status.retraining = planned.status;
  return planned;
}

std::vector<Refusal> no_room_for_jobs(const std::vector<Action>& actions) {
  std::vector<Refusal> refusals;
  for (const Action& action : actions)
    if (const auto* apply = std::get_if<Apply>(&action); apply && apply->target.kind == Kind::Job)
      refusals.push_back({apply->target, Error{ErrorKind::Forbidden, "exceeded quota", 403, {}, {}}, apply->hash, kNow});
  return refusals;
}

// A plan ends at what is refused. A run for whose Job no quota had room kept an abort from giving the traffic back.
TEST_CASE("a Job that is refused holds up nobody who serves") {
  Scene s = training_and_scaling();
  const Plan before = plan(s.observed(), kNow, test::kSettings);
  REQUIRE(order(before) == std::vector<Kind>{Kind::Deployment, Kind::Job});
  s.o.refusals = no_room_for_jobs(before.actions);
  REQUIRE(s.o.refusals.size() == 1);
  CHECK(order(plan(s.observed(), kNow, test::kSettings)) == std::vector<Kind>{Kind::Deployment, Kind::Job});
}

// It said Running for as long as there was no room.
TEST_CASE("a run whose Job is refused says what it waits for, until the Job is there") {
  Scene s = training_and_scaling();
  api::RetrainingStatus& status = s.model.status.retraining;
  const auto look = [&] { s.o.refusals = no_room_for_jobs(look_at_retraining(s, kNow).actions); };
  look();
  CHECK(status.last_result == "Running");
  look();
  CHECK(status.last_result == "Waiting for Job ns/m-run-000001-train: exceeded quota");
  REQUIRE(status.run);
  api::Job job;
  job.meta.key = {"ns", "m-run-000001-train"};
  job.meta.uid = "j1";
  job.meta.controller_uid = "uid-m-run-000001";
  job.meta.created = kNow;
  s.o.jobs[job.meta.key.name] = std::make_shared<const api::Job>(job);
  look();
  CHECK(status.last_result == "Running");
}

// Nothing of who serves was written any more, and nobody was told.
TEST_CASE("a deletion that is refused holds up nobody who serves, and is told") {
  Scene s = training_and_scaling();
  s.model.retraining.reset();  // its Jobs go with it
  api::Job job;
  job.meta.key = {"ns", "m-run-000001-train"};
  job.meta.uid = "j1";
  s.o.jobs[job.meta.key.name] = std::make_shared<const api::Job>(job);
  s.o.refusals = {{{Kind::Job, job.meta.key}, Error{ErrorKind::Forbidden, "kept for audit", 403, {}, {}}, "", kNow}};
  const Plan planned = plan(s.observed(), kNow, test::kSettings);
  CHECK(std::holds_alternative<Delete>(planned.actions.back()));
  CHECK(std::any_of(planned.actions.begin(), planned.actions.end(), [](const Action& action) {
    const auto* status = std::get_if<WriteStatus>(&action);
    return status && status->target.kind == Kind::Model && status->status.find("kept for audit") != std::string::npos;
  }));
}

// It fired at once for all the nights since the last run that somebody had asked for.
TEST_CASE("a schedule that is added later has missed nothing") {
  Scene s = training_later();
  s.model.retraining->requested_at.reset();
  api::RetrainingStatus& status = s.model.status.retraining;
  status.run_number = 1;
  status.schedule_checked = kNow - std::chrono::hours(72);
  const auto look = [&](TimePoint at) { return look_at_retraining(s, at).status.run.has_value(); };
  CHECK_FALSE(look(kNow));
  s.model.retraining->triggers.resize(1);
  s.model.retraining->triggers[0].name = "nightly";
  s.model.retraining->triggers[0].schedule = api::Trigger::Schedule{"0 2 * * *", "UTC"};
  CHECK_FALSE(look(kNow + std::chrono::hours(1)));
  // So is one that is edited: 09:30 has been, when it is 10:00.
  s.model.retraining->triggers[0].schedule->cron = "30 9 * * *";
  CHECK_FALSE(look(kNow + std::chrono::hours(1)));
  CHECK(look(kNow + std::chrono::hours(25)));
}

// It was told for the milliseconds until the next look.
TEST_CASE("a firing that was skipped stays told until the next run, and who waits for a run is told") {
  Scene s = training_later();
  s.model.retraining->triggers.resize(1);
  s.model.retraining->triggers[0].name = "nightly";
  s.model.retraining->triggers[0].schedule = api::Trigger::Schedule{"0 2 * * *", "UTC"};
  s.model.retraining->requested_at.reset();
  s.model.retraining->cooldown = std::chrono::hours(48);
  api::RetrainingStatus& status = s.model.status.retraining;
  status.last_finished = status.schedule_checked = kNow - std::chrono::hours(24);
  const auto look = [&](TimePoint at) { return look_at_retraining(s, at).events.size(); };
  CHECK(look(kNow) == 1);
  const std::string told = "nightly at 2026-11-22T02:00:00Z: cooldown until 2026-11-23T09:00:00Z; this run is skipped";
  CHECK(status.suppressed == told);
  CHECK(look(kNow + std::chrono::seconds(1)) == 0);
  CHECK(status.suppressed == told);
  s.model.retraining->cooldown = Duration(0);
  s.model.retraining->requested_at = kNow + std::chrono::hours(1);
  look(kNow + std::chrono::hours(1));
  REQUIRE(status.run);
  CHECK(status.suppressed.empty());
  s.model.retraining->requested_at = kNow + std::chrono::hours(2);
  look(kNow + std::chrono::hours(2));
  CHECK(status.suppressed == "trigger requested waits: TrainingRun m-run-000001 is still running");
}

TEST_CASE("what happens to a rollout is told of its Model, too") {
  Scene s;
  s.serving("m-v1");
  s.model.version = s.model.status.spec_version = "m-v2";
  s.model.status.intent = {"m-v2", "Spec", "m-v2-2", "", "", "", kNow};
  s.rollout("m-v2-2", "m-v2", "spec");
  const Plan p = plan(s.observed(), kNow, test::kSettings);
  std::vector<Event> of_model, of_rollout;
  for (const Event& event : p.events) (event.regarding.kind == Kind::Model ? of_model : of_rollout).push_back(event);
  REQUIRE(of_rollout.size() == 1);
  REQUIRE(of_model.size() == 1);
  CHECK(of_model[0].uid == "uid-m");
  CHECK(of_model[0].reason == "RolloutStarted");
  CHECK(of_model[0].note == of_rollout[0].note);
}

TEST_CASE("the Model knows which rollout runs, and of which bytes, before it runs") {
  Scene s;
  s.serving("m-v1");
  s.model.version = s.model.status.spec_version = "m-v2";
  s.model.status.intent = {"m-v2", "Spec", "m-v2-2", "", "", "", kNow};
  s.rollout("m-v2-2", "m-v2", "spec");
  const Plan p = plan(s.observed(), kNow, test::kSettings);
  std::vector<Json> written;
  for (const Action& action : p.actions)
    if (const auto* write = std::get_if<WriteStatus>(&action)) written.push_back(Json::parse(write->status));
  REQUIRE(written.size() >= 2);
  CHECK(written[0]["intent"]["rolloutUID"] == "uid-m-v2-2");
  CHECK(written[0]["stableDigest"] == "sha256:m-v1");
  CHECK(written[1]["digest"] == "sha256:m-v2");
  CHECK(written[1]["fromDigest"] == "sha256:m-v1");
}

TEST_CASE("pods of what serves stay as they are when its record is made anew of other bytes") {
  Scene s;
  s.serving("m-v1");
  s.model.status.stable_digest = "sha256:m-v1";
  s.version("m-v1").artifact.digest = "sha256:other";
  const bool gone = GENERATE(false, true);
  if (gone) s.o.deployments.clear();
  const Plan p = plan(s.observed(), kNow, test::kSettings);
  for (const Action& action : p.actions) {
    const auto* apply = std::get_if<Apply>(&action);
    CHECK_FALSE((apply && apply->target.kind == Kind::Deployment));
    if (const auto* write = std::get_if<WriteStatus>(&action); write && write->target.kind == Kind::Model) {
      const Json status = Json::parse(write->status);
      CHECK(status["phase"] == "Degraded");
      CHECK(status["conditions"].dump().find("VersionConflict") != std::string::npos);
    }
  }
}

}  // namespace
}  // namespace mo::model
