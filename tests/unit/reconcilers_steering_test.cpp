// People's words, and gates that are watched beside the steps.
#include <catch2/catch.hpp>

#include "tests/unit/reconcilers_bench.h"

namespace mo::rollout {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using serving::ServingState;
using test::Bench;
using test::kNow;
using test::waits_at;

bool says(const Bench& b, const char* words) { return b.r.status.message.find(words) != std::string::npos; }

TEST_CASE("each request to go on goes on once") {
  Bench b;
  b.policy.steps = {test::weight(10), test::pause({}), test::pause({}), test::weight(50)};
  b.go();
  b.give(10);
  b.go();
  b.resume();
  b.go();
  CHECK(b.r.status.step_index == 3);
  b.go();
  CHECK(b.r.status.step_index == 3);
  CHECK(b.r.status.observed_resume == b.r.resume_requested_at);
  SECTION("taken away and written again it is not new") {
    const auto at = b.r.resume_requested_at;
    b.r.resume_requested_at.reset();
    b.go();
    b.r.resume_requested_at = at;
    b.go();
    CHECK(b.r.status.step_index == 3);
  }
  SECTION("any other value is, an earlier one too") {
    b.r.resume_requested_at = kNow - minutes(5);
    b.go();
    CHECK(b.r.status.step_index == 4);
  }
}

TEST_CASE("desiredState is a state: it resumes nothing by being said again, or taken away") {
  Bench b;
  const bool by_itself = GENERATE(false, true);
  if (by_itself) {
    b.to_gates();
    b.no_data();
  } else {
    b.policy.steps = {test::weight(10), test::pause({}), test::weight(50)};
    b.go();
    b.give(10);
    b.go();
  }
  const int step = b.r.status.step_index;
  for (const char* state : {"Running", "", "Running"}) {
    b.desire(state);
    b.go();
    CHECK(b.r.status.phase == "Paused");
    CHECK(says(b, "set spec.resumeRequestedAt to now, or run kubectl model resume m,"));
  }
  SECTION("leaving Paused goes on") {
    b.desire("Paused");
    b.go();
    CHECK(says(b, "set desiredState to Running"));
    b.desire(GENERATE("Running", ""));
    b.go();
    CHECK(b.r.status.phase == "Progressing");
    CHECK(b.r.status.step_index == (by_itself ? step : step + 1));
  }
  SECTION("a Paused that nobody saw is none") {
    b.desire("Paused");
    b.desire("Running");
    b.go();
    CHECK(b.r.status.phase == "Paused");
  }
  SECTION("a request waits for Paused to be left") {
    b.desire("Paused");
    b.resume();
    b.go();
    CHECK(b.r.status.phase == "Paused");
    CHECK(b.r.status.step_index == step);
  }
}

// An operator of before wrote no observedState, and people's words were generations.
TEST_CASE("a pause that the version before wrote down is gone on from") {
  Bench b;
  const std::string reason = GENERATE("GateInconclusive", "Requested", "");
  b.policy.steps = reason.empty() ? std::vector<api::Step>{test::weight(10), test::pause({}), test::weight(50)} : b.policy.steps;
  b.go();
  b.give(10);
  b.go();
  if (reason == "GateInconclusive") {
    b.now += minutes(1);
    b.go();
    b.no_data();
  }
  if (reason == "Requested") b.desire("Paused"), b.go();
  REQUIRE(b.r.status.phase == "Paused");
  b.r.status.observed_state.clear();
  b.r.status.pause_message.clear();
  b.r.status.waiting_since.reset();
  const std::string message = b.r.status.message;
  SECTION("it stays") {
    b.go();
    CHECK(b.r.status.phase == "Paused");
    CHECK(b.r.status.message == message);
  }
  SECTION("by the word that it asked for, before anybody of now has seen it") {
    b.desire("Running");
    b.go();
    CHECK(b.r.status.phase == "Progressing");
  }
  SECTION("by a request") {
    b.go();
    b.desire("Running");
    b.resume();
    b.go();
    CHECK(b.r.status.phase == "Progressing");
  }
}

TEST_CASE("who mends a gate in the Model is told that the rollout goes on with the old one") {
  Bench b;
  b.to_gates();
  b.no_data();
  CHECK_FALSE(says(b, "has changed"));
  b.policy.gates[0].prometheus_query = "another";
  b.go();
  CHECK(says(b, "; gate accuracy of Model m has changed since this rollout started: run kubectl model abort m and kubectl model retry m to "
                "use it"));
  b.policy.gates[0].prometheus_query = "accuracy";
  b.go();
  CHECK_FALSE(says(b, "has changed"));
}

TEST_CASE("a gate that is watched without data holds nothing up unless it is told to") {
  Bench b;
  b.policy.steps = {test::weight(10), test::background({"accuracy"}), test::pause(std::chrono::hours(9)), test::weight(50)};
  SECTION("left out") {
    b.go();
    b.give(10);
    b.go();
    for (int i = 0; i < 20; ++i) {
      b.measure("");
      b.now += minutes(1);
    }
    CHECK(b.r.status.phase == "Progressing");
    CHECK(b.r.status.gates[0].inconclusive == 20);
    b.measure("0.5");
    CHECK(b.r.status.ending);
  }
  SECTION("told to") {
    b.policy.gates[0].on_inconclusive = api::Gate::OnInconclusive::Pause;
    b.go();
    b.give(10);
    b.go();
    b.no_data();
    CHECK(b.r.status.phase == "Paused");
    CHECK(b.r.status.gates[0].inconclusive == 6);
  }
}

TEST_CASE("a gate that is watched waits its initialDelay from when its rollout gets there") {
  Bench b;
  b.policy.gates[0].initial_delay = minutes(2);
  b.policy.steps = {test::weight(10), test::pause(minutes(5)), test::background({"accuracy"}), test::pause(std::chrono::hours(1))};
  b.go();
  b.give(10);
  b.go();
  b.now += minutes(5);
  b.go();
  CHECK(b.go().asks.empty());
  REQUIRE(b.r.status.gates.size() == 1);
  CHECK(b.r.status.gates[0].started == b.now);
  b.now += minutes(2) - seconds(1);
  CHECK(b.go().asks.empty());
  b.now += seconds(1);
  CHECK(b.go().asks.size() == 1);
}

// ---- required gates ----

Bench with_required() {
  Bench b;
  b.policy.gates[0].required = true;
  return b;
}

TEST_CASE("Promoted does not skip a gate that is required") {
  Bench b = with_required();
  b.go();
  b.desire("Promoted");
  b.go();
  CHECK(waits_at(b, 5, 10));
  CHECK(says(b, "waiting for m-v2 at 10%"));
  b.give(10);
  b.go();
  CHECK(says(b, "measuring required gates before 100% traffic goes to m-v2"));
  SECTION("it passes") {
    b.measure("0.95");
    CHECK(waits_at(b, 5, 100));
    b.give(100);
    b.go();
    CHECK(b.r.status.phase == "Succeeded");
  }
  SECTION("it fails") {
    b.measure("0.5");
    b.give(0);
    b.go();
    CHECK(b.r.status.phase == "RolledBack");
  }
  SECTION("it stays undecided until somebody asks anew") {
    b.no_data();
    CHECK(b.r.status.phase == "Paused");
    b.go();
    CHECK(b.r.status.phase == "Paused");
    CHECK(says(b, "or set desiredState to Aborted"));
    b.resume();
    b.now += minutes(1);
    b.measure("0.95");
    CHECK(waits_at(b, 5, 100));
  }
  SECTION("it is aborted all the same") {
    b.desire("Aborted");
    b.give(0);
    b.go();
    CHECK(b.r.status.phase == "Aborted");
  }
}

TEST_CASE("a required gate that a step has passed is not measured again") {
  Bench b = with_required();
  b.to_gates();
  b.measure("0.95");
  b.desire("Promoted");
  b.go();
  CHECK(waits_at(b, 5, 100));
}

TEST_CASE("a required gate that no step names is measured before all traffic") {
  Bench b = with_required();
  SECTION("canary") { b.policy.steps = {test::weight(10)}; }
  SECTION("the switch of blue-green") {
    b.policy.strategy = api::RolloutPolicy::Strategy::BlueGreen;
    b.policy.steps = {test::weight(100), test::pause({})};
  }
  b.go();
  b.give(b.policy.strategy == api::RolloutPolicy::Strategy::Canary ? 10 : 100);
  if (b.policy.strategy == api::RolloutPolicy::Strategy::BlueGreen) b.serving_state.selected = ServingState::Selected::Stable, b.serving_state.stable = {true, 10, 10, 10};
  b.go();
  CHECK(b.r.status.candidate_weight < 100);
  b.measure("0.95");
  CHECK(b.r.status.candidate_weight == 100);
}

TEST_CASE("the way back to what served before waits for no gate") {
  Bench b = with_required();
  b.served_before = true;
  b.r.desired_state = "Promoted";
  b.go();
  CHECK(waits_at(b, 5, 100));
}

// Gates that were watched held up what Promoted had skipped: it paused again at each look, with an Event each time.
TEST_CASE("Promoted skips gates that are watched, too") {
  Bench b;
  b.policy.steps = {test::weight(10), test::background({"accuracy"}), test::pause({}), test::weight(50)};
  b.go();
  b.policy.gates[0].on_inconclusive = api::Gate::OnInconclusive::Pause;
  b.r.status.policy = b.policy;
  b.give(10);
  b.go();
  b.no_data();
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
    b.desire("Promoted");  // which it was
    b.go();
    CHECK(b.r.status.phase == "Paused");
    b.resume();
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
