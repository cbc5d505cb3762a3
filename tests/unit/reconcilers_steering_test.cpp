// People's words, and gates that are watched beside the steps.
#include <catch2/catch.hpp>

#include "tests/unit/reconcilers_bench.h"

namespace mo::rollout {
namespace {

using std::chrono::minutes;
using test::Bench;
using test::waits_at;

// To write what is there already changes no generation: whoever did as the status said waited for ever.
TEST_CASE("where Running was said before, a pause says to take the word away") {
  Bench b;
  const auto says = [&](const char* words) { return b.r.status.message.find(words) != std::string::npos; };
  SECTION("an open pause") {
    b.policy.steps = {test::weight(10), test::pause({}), test::pause({}), test::weight(50)};
    b.go();
    b.give(10);
    b.go();
    CHECK(says("set desiredState to Running to go on"));
    b.desire("Running");
    b.go();
    CHECK(says("take desiredState away"));
    CHECK(b.r.status.step_index == 3);
  }
  SECTION("a pause by itself") {
    b.desire("Running");
    b.to_gates();
    b.measure("");
    CHECK(says("take desiredState away"));
  }
  REQUIRE(b.r.status.phase == "Paused");
  b.desire("");
  b.go();
  CHECK(b.r.status.phase == "Progressing");
}

// Gates that were watched held up what Promoted had skipped: it paused again at each look, with an Event each time.
TEST_CASE("Promoted skips gates that are watched, too") {
  Bench b;
  b.policy.steps = {test::weight(10), test::background({"accuracy"}), test::pause({}), test::weight(50)};
  b.go();
  b.give(10);
  b.go();
  b.measure("");
  REQUIRE(b.r.status.phase == "Paused");
  b.desire("Promoted");
  const Advanced a = b.go();
  CHECK(a.asks.empty());
  CHECK(waits_at(b, 5, 100));
  CHECK(b.r.status.phase == "Progressing");
  b.give(100);
  b.go();
  CHECK(b.r.status.phase == "Succeeded");
}

TEST_CASE("what is late after Promoted pauses once, and goes on when it is there or somebody says so") {
  Bench b;
  b.policy.on_failure = api::RolloutPolicy::OnFailure::Pause;
  b.go();
  b.desire("Promoted");
  b.go();
  b.now += b.policy.progress_deadline;
  CHECK(b.go().events.size() == 1);
  REQUIRE(b.r.status.phase == "Paused");
  b.now += minutes(1);
  const api::RolloutStatus before = b.r.status;
  CHECK(b.go().events.empty());
  CHECK(b.r.status.paused_at == before.paused_at);
  SECTION("it is there") {
    b.give(100);
    b.go();
    CHECK(b.r.status.phase == "Succeeded");
  }
  SECTION("somebody says so") {
    b.desire("Promoted");
    b.go();
    CHECK(b.r.status.phase == "Progressing");
    b.now += b.policy.progress_deadline - minutes(1);
    b.go();
    CHECK(b.r.status.phase == "Progressing");
  }
}

// It stayed Passed, which is never measured again.
TEST_CASE("a gate that is watched goes on being watched after a step of its own") {
  Bench b;
  b.policy.steps = {test::background({"accuracy"}), test::weight(10), test::gates({"accuracy"}), test::pause(minutes(10))};
  b.go();
  b.measure("0.95");
  b.give(10);
  b.go();
  b.now += minutes(1);
  b.measure("0.95");
  REQUIRE(b.r.status.step_index == 4);
  CHECK(b.r.status.gates[0].verdict == "Running");
  b.now += minutes(1);
  b.measure("0.5");
  REQUIRE(b.r.status.ending);
  CHECK(b.r.status.ending->reason == "GateFailed");
}

// Each step began a Job of its own, and one that took longer than a step was never read.
TEST_CASE("the Job of a gate that is watched is the same from step to step") {
  Bench b;
  api::Gate fairness;
  fairness.name = "fairness";
  fairness.job.emplace();
  b.policy.gates.push_back(fairness);
  b.policy.steps = {test::background({"fairness"}), test::weight(10), test::pause(minutes(1)), test::weight(50)};
  b.go();
  const Advanced first = b.go();
  REQUIRE(first.jobs.size() == 1);
  b.give(10);
  b.go();
  b.now += minutes(1);
  b.go();
  const Advanced later = b.go();
  REQUIRE(waits_at(b, 4, 50));
  REQUIRE(later.jobs.size() == 1);
  CHECK(later.jobs.begin()->first == first.jobs.begin()->first);
}

}  // namespace
}  // namespace mo::rollout
