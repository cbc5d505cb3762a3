// Which run is under way: triggers, limits, and runs that people write.
#include <catch2/catch.hpp>

#include "reconcilers/training/triggers.h"
#include "tests/unit/reconcilers_training_make.h"

namespace mo::training {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using namespace test;
using Names = std::vector<std::string>;

api::Trigger nightly() {
  api::Trigger trigger;
  trigger.name = "nightly";
  trigger.schedule = api::Trigger::Schedule{"0 2 * * *", "UTC"};
  return trigger;
}

TEST_CASE("an experiment waits for the run under way, registers what it made and rolls nothing out") {
  Trained t;
  t.settle();
  api::TrainingRun& mine = t.write_run("try-c");
  mine.parameters = {{"C", "0.1"}};
  mine.seed = 42;
  t.settle();
  CHECK(mine.status.phase == "Pending");
  CHECK(mine.status.message == "waiting for TrainingRun m-run-000001");
  t.end("m-run-000001-train", result_of("{}"));
  t.settle();
  CHECK(t.env("try-c-train", "MODELOPS_PARAM_C") == "0.1");
  CHECK(t.env("try-c-train", "MODELOPS_SEED") == "42");
  t.end("try-c-train", result_of("{}", '2'));
  t.settle();
  CHECK(mine.status.phase == "Succeeded");
  CHECK(t.status().last_result == "Registered: m-2222222222");
  CHECK(t.status().runs_today == 1);  // its own run alone
  CHECK(t.bodies["m-2222222222"]["spec"]["lineage"]["run"]["parameters"] == Json{{"C", "0.1"}});
}

TEST_CASE("an experiment that waits may be cancelled, and one without a spec.retraining says what is missing") {
  Trained t;
  t.settle();
  t.write_run("a").desired_state = "Cancelled";
  t.settle();
  CHECK(t.run("a").status.phase == "Cancelled");
  t.write_run("b");
  t.model.retraining.reset();
  t.settle();
  CHECK(t.run("b").status.phase == "Pending");
  CHECK(t.run("b").status.message == "Model m has no spec.retraining; a TrainingRun needs it");
  CHECK(t.run().status.phase == "Cancelled");
  CHECK(t.jobs.empty());
}

TEST_CASE("a TrainingRun of somebody else is not taken for the operator's") {
  Trained t;
  t.write_run("m-run-000001").desired_state = "Cancelled";
  t.refuse = true;
  Planned planned = t.look();
  planned = t.look();
  CHECK(planned.problem_reason == "RunNameTaken");
  CHECK(t.jobs.empty());
}

TEST_CASE("a run that its Model knows nothing of any more is over, but not one that we have yet to hear of") {
  Trained t;
  t.spec().requested_at.reset();
  t.status().run_number = 1;
  t.write_run("m-run-000001", true);
  t.write_run("m-run-000002", true);
  t.settle();
  CHECK(t.run("m-run-000001").status.phase == "Cancelled");
  CHECK(t.run("m-run-000002").status.phase.empty());
}

TEST_CASE("Replace cancels the run under way for a newer cause, and never for the same one") {
  Trained t;
  t.spec().concurrency = api::Retraining::Concurrency::Replace;
  t.settle();
  CHECK(t.settle().actions.empty());
  t.spec().requested_at = kNow + minutes(30);
  t.settle(minutes(30));
  CHECK(t.run("m-run-000001").status.phase == "Cancelled");
  CHECK(t.run("m-run-000001").status.message == "trigger requested starts a newer run (limits.concurrency: Replace)");
  CHECK(t.status().run->name == "m-run-000002");
  CHECK(t.jobs.size() == 1);
  t.monitors = {"drift"};  // a monitor that asks on while a run is under way replaces nothing
  t.settle(minutes(31));
  CHECK(t.status().run->name == "m-run-000002");
}

TEST_CASE("no run starts once the day's hours of Jobs are spent") {
  Trained t;
  t.spec().job_hours_per_day = Decimal::parse("1.5");
  t.settle();
  t.job("m-run-000001-train").started = kNow;
  t.job("m-run-000001-train").finished = kNow + minutes(90);
  t.end("m-run-000001-train", result_of("{}"));
  t.settle(minutes(90));
  CHECK(t.status().job_seconds_today == 5400);
  t.spec().requested_at = kNow + hours(2);
  t.write_run("mine");
  t.settle(hours(2));
  CHECK(t.status().suppressed == "requested: jobHoursPerDay 1.5 reached; it runs after that");
  CHECK(t.run("mine").status.message == "jobHoursPerDay 1.5 reached");
  t.settle(hours(16));
  CHECK(t.status().run);
}

// Whoever cancelled or deleted each run shortly before its end trained without any limit.
TEST_CASE("what is called off or deleted counts towards jobHoursPerDay") {
  Trained t;
  t.spec().job_hours_per_day = Decimal::parse("10");
  t.settle();
  t.job("m-run-000001-train").started = kNow;
  t.run().desired_state = "Cancelled";
  t.settle(hours(1));
  CHECK(t.run_status().phase == "Cancelled");
  CHECK(t.status().job_seconds_today == 3600);
  t.spec().requested_at = kNow + hours(2);
  t.settle(hours(2));
  REQUIRE(t.status().run);
  t.runs.erase(t.status().run->name);
  t.look(hours(4));
  CHECK(t.status().job_seconds_today == 3 * 3600);
}

// Each run that ended was a write for each of those that waited behind it.
TEST_CASE("as many runs as wait, one that ends changes the status of the next alone") {
  Trained t;
  t.settle();
  for (int i = 0; i < 50; ++i) t.write_run("mine-" + std::to_string(i));
  t.settle(minutes(1));
  const auto told = [&] {
    std::map<std::string, std::string> all;
    for (const auto& [name, run] : t.runs) all[name] = run->status.phase + run->status.message;
    return all;
  };
  const auto before = told();
  CHECK(before.at("mine-0") == "Pendingwaiting for TrainingRun m-run-000001");
  CHECK(before.at("mine-7") == "Pendingwaiting for earlier TrainingRuns of this Model to finish");
  t.end("m-run-000001-train", result_of("{}"));
  t.settle(minutes(2));
  const auto after = told();
  int changed = 0;
  for (const auto& [name, words] : after) changed += before.count(name) && before.at(name) != words;
  CHECK(changed == 3);  // what ended, what began, what is next
}

TEST_CASE("jitter is the same for one Model and trigger, and spreads a thousand") {
  CHECK(jitter_of("u", "t", Duration(0)) == Duration(0));
  CHECK(jitter_of("u", "t", minutes(10)) == jitter_of("u", "t", minutes(10)));
  std::set<Duration> all;
  for (int i = 0; i < 1000; ++i) {
    all.insert(jitter_of("uid-" + std::to_string(i), "nightly", minutes(10)));
    CHECK(jitter_of("uid-" + std::to_string(i), "nightly", minutes(10)) < minutes(10));
  }
  CHECK(all.size() > 400);
}

TEST_CASE("a schedule fires its jitter later") {
  Trained t;
  t.spec().requested_at.reset();
  t.spec().triggers = {nightly()};
  t.spec().triggers[0].schedule->jitter = hours(1);
  const Duration jitter = jitter_of("uid-m", "nightly", hours(1));
  REQUIRE(jitter > Duration(0));
  t.settle();
  const TimePoint two = *parse_time("2026-11-23T02:00:00Z");
  CHECK(t.status().next_scheduled == two + jitter);
  t.settle(two + jitter - seconds(1) - kNow);
  CHECK_FALSE(t.status().run);
  t.settle(two + jitter - kNow);
  CHECK(t.status().run);
}

TEST_CASE("a firing beyond its startingDeadline is skipped, and says so") {
  Trained t;
  t.spec().requested_at.reset();
  t.spec().triggers = {nightly()};
  t.spec().triggers[0].schedule->starting_deadline = hours(1);
  t.settle();
  const auto at = [](const char* time) { return *parse_time(time) - kNow; };
  t.settle(at("2026-11-23T04:00:00Z"));
  CHECK_FALSE(t.status().run);
  CHECK(t.status().suppressed ==
        "nightly at 2026-11-23T02:00:00Z: no run could start within startingDeadline 1h; this run is skipped");
  // Of two that were missed the later is not too late.
  t.settle(at("2026-11-25T02:30:00Z"));
  CHECK(t.status().run);
}

TEST_CASE("a version that another Model promotes starts one run") {
  Trained t;
  t.spec().requested_at.reset();
  api::Trigger base;
  base.name = "base";
  base.model = "embeddings";
  t.spec().triggers = {base};
  t.settle();
  CHECK(t.status().suppressed == "trigger base: Model embeddings does not exist in namespace ns");
  t.o.promoted["embeddings"] = "embeddings-v1";
  t.settle();
  CHECK_FALSE(t.status().run);  // what served when it was first looked at
  t.o.promoted["embeddings"] = "embeddings-v2";
  t.settle();
  REQUIRE(t.status().run);
  CHECK(t.run().trigger_kind == "Model");
  t.end("m-run-000001-train", result_of("{}"));
  t.settle();
  CHECK_FALSE(t.status().run);
}

TEST_CASE("the Jobs of the last few runs are kept, and those of runs before go") {
  Trained t;
  for (int i = 1; i <= 5; ++i) {
    t.spec().requested_at = kNow + hours(i);
    t.settle(hours(i));
    t.end("m-run-00000" + std::to_string(i) + "-train", result_of("{}", static_cast<char>('0' + i)));
    t.settle(hours(i) + minutes(1));
  }
  CHECK(t.jobs.size() == 3);
  CHECK(t.deleted == Names{"m-run-000001-train", "m-run-000002-train"});
}

}  // namespace
}  // namespace mo::training
