// One rollout, from phase to phase, by each rule.
#include <catch2/catch.hpp>

#include "reconcilers/rollout/steps.h"
#include "tests/unit/reconcilers_bench.h"

namespace mo::rollout {
namespace {

using serving::ServingState;
using test::Bench;
using test::waits_at;
using std::chrono::minutes;
using std::chrono::seconds;
using test::kNow;

TEST_CASE("a rollout takes a snapshot of the policy when it starts") {
  Bench b;
  b.go();
  CHECK(b.r.status.phase == "Progressing");
  CHECK(b.r.status.from_version == "m-v1");
  CHECK(b.r.status.step_count == 4);
  b.policy.steps.clear();
  b.go();
  CHECK(waits_at(b, 1, 10));
}

TEST_CASE("a gate of a kind that we do not know holds the rollout up and is said") {
  Bench b;
  b.policy.gates[0].prometheus_query.reset();
  b.to_gates();
  b.go();
  REQUIRE(b.r.status.ending);
  CHECK(b.r.status.ending->reason == "GateUndefined");
}

// A story: the Model had the outcome, the operator was killed before the rollout's status was written, and for good it
// said of a rollout that had succeeded, or failed, that its last gate was still measuring.
TEST_CASE("what a gate said last is on record before the outcome that rests on it") {
  Bench b;
  SECTION("a success") {
    b.policy.steps = {api::Step{100, {}, {}, {}}, api::Step{{}, {}, {"accuracy"}, {}}};
    b.go();
    b.give(100);
    b.measure("0.95");
    CHECK(b.r.status.gates.at(0).verdict == "Passed");
    CHECK(b.r.status.phase == "Progressing");
    b.go();
    CHECK(b.r.status.phase == "Succeeded");
  }
  SECTION("a failure before any traffic") {
    b.policy.steps = {api::Step{{}, {}, {"accuracy"}, {}}, api::Step{100, {}, {}, {}}};
    b.go();
    b.give(100);
    b.serving_state.selected = ServingState::Selected::Stable;
    b.measure("0.5");
    CHECK(b.r.status.gates.at(0).verdict == "Failed");
    CHECK(b.r.status.ending->phase == "RolledBack");
    CHECK(b.r.status.phase == "Progressing");
    b.go();
    CHECK(b.r.status.phase == "RolledBack");
  }
}

// A story: of a status that said when it started but not when its step did, the planner made a crash.
TEST_CASE("a status that lost a part is mended, not believed") {
  Bench b;
  b.go();
  const int index = GENERATE(1, 0, -3, 99);
  b.r.status.step_index = index;
  b.r.status.step_started.reset();
  b.r.status.policy.reset();
  b.go();
  CHECK(b.r.status.policy);
  CHECK(b.r.status.step_started);
  CHECK(b.r.status.step_index >= 1);
  CHECK(b.r.status.step_index <= 5);
}

// An upgrade had taken the chosen callers off the candidate until the shadow was over once more.
TEST_CASE("a shadow that was over under the version before is over") {
  Bench b;
  b.policy.strategy = api::RolloutPolicy::Strategy::Shadow;
  b.go();
  b.r.status.mirroring_since = kNow - minutes(90);
  const bool chosen = GENERATE(false, true);
  if (chosen) b.serving_state.route_rules.header_matches = {{"x-tester", "yes"}};
  b.go();
  CHECK((b.r.status.mirrored_since == b.r.status.mirroring_since) == chosen);
}

TEST_CASE("a weight is reached before the next step begins") {
  Bench b;
  const Advanced a = b.go();
  CHECK(waits_at(b, 1, 10));
  CHECK(a.target.candidate_pods);
  CHECK(b.r.status.stable_weight == 90);
  b.serving_state.candidate = {true, 1, 1, 1};
  b.serving_state.candidate_settled = true;
  b.go();
  CHECK(waits_at(b, 1, 10));  // ready, but the Service doesn't select it yet
  b.give(10);
  b.go();
  CHECK(waits_at(b, 2, 10));
}

TEST_CASE("a timed pause lasts as long as it says, and says until when") {
  Bench b;
  b.go();
  b.give(10);
  const Advanced a = b.go();
  CHECK(a.look_again == kNow + minutes(1));
  b.now = kNow + minutes(1) - Duration(1);
  b.go();
  CHECK(b.r.status.step_index == 2);
  b.now = kNow + minutes(1);
  b.go();
  CHECK(b.r.status.step_index == 3);
}

// A leader's clock was an hour ahead; under the next one the pause lasted an hour longer.
TEST_CASE("a pause that began in the future begins now") {
  Bench b;
  b.now = kNow + minutes(60);
  b.go();
  b.give(10);
  b.go();
  REQUIRE(b.r.status.step_index == 2);
  b.now = kNow;
  const Advanced a = b.go();
  CHECK(a.look_again == kNow + minutes(1));
  b.now = kNow + minutes(1);
  b.go();
  CHECK(b.r.status.step_index == 3);
}

TEST_CASE("the whole way") {
  Bench b;
  b.to_gates();
  b.measure("0.95");
  CHECK(waits_at(b, 4, 50));
  b.give(50);
  b.go();
  CHECK(waits_at(b, 5, 100));
  b.give(100);
  b.go();
  CHECK(b.r.status.phase == "Succeeded");
  CHECK(b.r.status.finished == b.now);
  CHECK(b.r.status.candidate_weight == 100);
}

TEST_CASE("a failed gate gives the traffic back before it says RolledBack") {
  Bench b;
  b.to_gates();
  const Advanced a = b.measure("0.5");
  CHECK(a.target.draining);
  CHECK(b.r.status.phase == "Progressing");
  REQUIRE(b.r.status.ending);
  CHECK(b.r.status.ending->phase == "RolledBack");
  CHECK(b.r.status.ending->message ==
        "gate accuracy failed: 0.5 is below min 0.9 at step 3/4 (gates accuracy)");
  b.give(0);
  b.go();
  CHECK(b.r.status.phase == "RolledBack");
  CHECK(b.r.status.candidate_weight == 0);
}

TEST_CASE("an ending once decided is never forgotten") {
  Bench b;
  b.to_gates();
  b.measure("0.5");
  b.desire("Promoted");
  b.go();
  CHECK(b.r.status.ending->phase == "RolledBack");
  b.desire("Running");
  b.give(0);
  b.go();
  CHECK(b.r.status.phase == "RolledBack");
}

TEST_CASE("abort wins at any step and in any phase") {
  for (const char* where : {"before it starts", "at a weight", "in a pause", "at gates", "paused by a person",
                            "paused by failure", "at the end"}) {
    INFO(where);
    Bench b;
    const std::string at = where;
    if (at == "paused by failure") b.policy.on_failure = api::RolloutPolicy::OnFailure::Pause;
    if (at != "before it starts") b.go();
    if (at == "in a pause" || at == "paused by a person") b.give(10), b.go();
    if (at == "paused by a person") b.desire("Paused"), b.go();
    if (at == "at gates" || at == "paused by failure") b.give(10), b.go(), b.now += minutes(1), b.go();
    if (at == "paused by failure") {
      b.measure("0.1");
      REQUIRE(b.r.status.phase == "Paused");
    }
    if (at == "at the end") b.desire("Promoted"), b.go();
    b.desire("Aborted");
    b.go();
    REQUIRE(b.r.status.ending);
    CHECK(b.r.status.ending->phase == "Aborted");
    b.give(0);
    b.go();
    CHECK(b.r.status.phase == "Aborted");
  }
}

TEST_CASE("a person's pause stops the clock of the step") {
  Bench b;
  b.go();
  b.give(10);
  b.go();
  b.now += seconds(20);
  b.desire("Paused");
  b.go();
  CHECK(b.r.status.phase == "Paused");
  b.now += minutes(30);
  b.desire("Running");
  b.go();
  CHECK(b.r.status.step_index == 2);
  b.now += seconds(39);
  b.go();
  CHECK(b.r.status.step_index == 2);
  b.now += seconds(1);
  b.go();
  CHECK(b.r.status.step_index == 3);
}

// Status keeps whole seconds. Cut off, a pause that began in the middle of one ended a fraction too early.
TEST_CASE("a pause never ends early by the fractions of seconds that status does not keep") {
  Bench b;
  b.go();
  b.give(10);
  b.go();
  b.now += Duration(20'700);
  b.desire("Paused");
  b.go();
  b.r.status.paused_at = std::chrono::floor<seconds>(*b.r.status.paused_at);
  b.now += Duration(10'100);
  b.desire("Running");
  b.go();
  CHECK(*b.r.status.step_started == std::chrono::floor<seconds>(*b.r.status.step_started));
  CHECK(*b.r.status.step_started >= kNow + Duration(10'100));
}

TEST_CASE("an open pause waits for a request to go on") {
  Bench b;
  b.policy.steps = {test::weight(10), test::pause({}), test::weight(50)};
  b.go();
  b.give(10);
  b.go();
  CHECK(b.r.status.phase == "Paused");
  b.now += std::chrono::hours(24);
  b.go();
  CHECK(b.r.status.step_index == 2);
  CHECK(b.r.status.message.find("set spec.resumeRequestedAt to now, or run kubectl model resume m, to continue") != std::string::npos);
  b.desire("Running");  // which it was
  b.go();
  CHECK(b.r.status.step_index == 2);
  b.resume();
  b.go();
  CHECK(waits_at(b, 3, 50));
}

TEST_CASE("a request from before an open pause began does not skip it") {
  Bench b;
  b.policy.steps = {test::weight(10), test::pause({}), test::weight(50)};
  b.go();
  b.resume();
  b.give(10);
  b.go();
  CHECK(b.r.status.phase == "Paused");
}

TEST_CASE("Promoted skips what is left, gates included") {
  Bench b;
  b.go();
  b.desire("Promoted");
  b.go();
  CHECK(waits_at(b, 5, 100));
  b.give(100);
  b.go();
  CHECK(b.r.status.phase == "Succeeded");
}

TEST_CASE("no data pauses, and a request tries the step again from its start") {
  Bench b;
  b.to_gates();
  b.no_data();
  CHECK(b.r.status.phase == "Paused");
  CHECK(b.r.status.gates[0].verdict == "Inconclusive");
  CHECK(b.r.status.candidate_weight == 10);
  b.resume();
  b.now += minutes(1);
  b.go();
  CHECK(b.r.status.gates[0].verdict == "Running");
  b.measure("0.95");
  CHECK(waits_at(b, 4, 50));
}

// The answer that paused it was still kept: the plan that saw it had not heard that its status was written.
TEST_CASE("a step that is tried again within the second does not take its last answer for a new one") {
  Bench b;
  b.policy.gates[0].inconclusive_limit = 0;
  b.to_gates();
  const Advanced asking = b.go();
  REQUIRE(asking.asks.size() == 1);
  Answer answer;
  answer.at = b.now;
  answer.value.problem = "no data";
  b.answers = {{asking.asks[0].id, answer}};
  b.go();
  REQUIRE(b.r.status.phase == "Paused");
  b.resume();
  const Advanced again = b.go();
  CHECK(b.r.status.phase == "Progressing");
  REQUIRE(again.asks.size() == 1);
  CHECK(again.asks[0].id != asking.asks[0].id);
}

TEST_CASE("no data fails where the gate says so") {
  Bench b;
  b.policy.gates[0].on_inconclusive = api::Gate::OnInconclusive::Fail;
  b.to_gates();
  b.no_data();
  REQUIRE(b.r.status.ending);
  CHECK(b.r.status.ending->reason == "GateInconclusive");
}

TEST_CASE("onFailure Pause keeps the weight and waits for a person") {
  Bench b;
  b.policy.on_failure = api::RolloutPolicy::OnFailure::Pause;
  b.to_gates();
  b.measure("0.5");
  CHECK_FALSE(b.r.status.ending);
  CHECK(b.r.status.phase == "Paused");
  CHECK(b.r.status.pause_reason == "GateFailed");
  CHECK(b.r.status.candidate_weight == 10);
  b.go();
  CHECK(b.r.status.phase == "Paused");
}

TEST_CASE("the deadline counts from the step's start and names the cluster's own words") {
  Bench b;
  b.policy.progress_deadline = seconds(60);
  b.serving_state.candidate_problem = "ErrImagePull: no such image";
  CHECK(b.go().look_again == kNow + seconds(60));
  b.now += seconds(59);
  b.go();
  CHECK_FALSE(b.r.status.ending);
  b.now += seconds(1);
  b.go();
  CHECK(b.r.status.phase == "RolledBack");
  CHECK(b.r.status.message.find(
            "m-v2 was not ready within 1m: 0/1 pods ready: ErrImagePull: no such image") == 0);
}

// A preview that had waited for an hour was rolled back as soon as one of its pods was moved.
TEST_CASE("before the first weight the deadline counts from when pods went missing") {
  Bench b;
  b.policy.progress_deadline = seconds(60);
  b.policy.steps = {test::pause(std::chrono::hours(2)), test::weight(50)};
  b.serving_state.candidate = {true, 5, 5, 5};
  b.serving_state.candidate_settled = true;
  b.go();
  b.now += std::chrono::hours(1);
  b.serving_state.candidate = {true, 5, 5, 4};
  CHECK(b.go().look_again == b.now + seconds(60));
  CHECK(b.r.status.waiting_since == b.now);
  b.now += seconds(59);
  SECTION("they come") {
    b.serving_state.candidate = {true, 5, 5, 5};
    b.go();
    CHECK_FALSE(b.r.status.waiting_since);
    b.now += std::chrono::hours(1);
    b.go();
    CHECK(waits_at(b, 2, 50));
  }
  SECTION("a person's pause stops this clock, too") {
    b.desire("Paused");
    b.go();
    b.now += minutes(10);
    b.desire("Running");
    b.go();
    CHECK_FALSE(b.r.status.ending);
    b.now += seconds(1);
    b.go();
    CHECK(b.r.status.phase == "RolledBack");
  }
  SECTION("they don't") {
    b.now += seconds(1);
    b.go();
    CHECK(b.r.status.phase == "RolledBack");
    CHECK(b.r.status.ending->reason == "ProgressDeadlineExceeded");
  }
}

// Sixty gigabytes took half an hour to come, and the rollout was over before the server had begun.
TEST_CASE("the deadline counts from when the weights are on the node") {
  Bench b;
  b.policy.progress_deadline = minutes(10);
  b.policy.steps = {test::weight(50)};
  b.serving_state.candidate_fetching = {kNow, std::nullopt, minutes(40)};
  CHECK(b.go().look_again == kNow + minutes(50));
  b.now += minutes(30);
  b.go();
  CHECK_FALSE(b.r.status.ending);
  SECTION("fetched in time: the server has its ten minutes") {
    b.serving_state.candidate_fetching = {std::nullopt, b.now, minutes(40)};
    CHECK(b.go().look_again == b.now + minutes(10));
    b.now += minutes(9);
    b.go();
    CHECK_FALSE(b.r.status.ending);
    b.now += minutes(1);
    b.go();
    CHECK(b.r.status.ending->reason == "ProgressDeadlineExceeded");
  }
  SECTION("pods that fetch again and again have no more time than one first try") {
    b.now = kNow + minutes(49);
    b.serving_state.candidate_fetching.since = b.now;
    b.go();
    CHECK_FALSE(b.r.status.ending);
    b.now += minutes(1);
    b.go();
    CHECK(b.r.status.ending->reason == "ProgressDeadlineExceeded");
  }
  SECTION("a fetch that fails is no progress") {
    b.serving_state.candidate_fetching = {std::nullopt, std::nullopt, minutes(40)};
    b.serving_state.candidate_problem = "https://store/x: the server answered HTTP 404";
    b.go();
    CHECK(b.r.status.ending->reason == "ProgressDeadlineExceeded");
    CHECK(b.r.status.ending->message.find("HTTP 404") != std::string::npos);
  }
}

// That the pods are there began the wait for the route anew, for ever.
TEST_CASE("a step that waits for the route has one deadline, whatever its pods do") {
  Bench b;
  b.policy.progress_deadline = seconds(60);
  api::Step chosen;
  chosen.match = api::Step::Match{{{"x-canary", "1", false}}};
  b.policy.steps = {chosen, test::weight(50)};
  b.serving_state.candidate = {true, 5, 5, 5};
  b.serving_state.candidate_settled = true;
  for (int i = 0; i < 6; ++i) {
    b.go();
    CHECK(b.r.status.waiting_since == kNow);
    b.now += seconds(10);
  }
  b.go();
  CHECK(b.r.status.phase == "RolledBack");
}

TEST_CASE("a ModelVersion that is made anew with other bytes in mid-rollout ends it") {
  Bench b;
  b.policy.on_failure = api::RolloutPolicy::OnFailure::Pause;
  b.to_gates();
  CHECK(b.r.status.digest == "sha256:m-v2");
  CHECK(b.r.status.from_digest == "sha256:m-v1");
  SECTION("it is gone for now") {
    b.digest.clear();
    b.go();
    CHECK_FALSE(b.r.status.ending);
  }
  SECTION("another") {
    b.digest = "sha256:other";
    b.go();
    REQUIRE(b.r.status.ending);
    CHECK(b.r.status.ending->phase == "RolledBack");
    CHECK(b.r.status.ending->reason == "VersionConflict");
  }
}

TEST_CASE("a digest that does not match is not waited for") {
  Bench b;
  b.serving_state.digest_mismatch = true;
  b.serving_state.candidate_problem = "digest mismatch";
  b.go();
  CHECK(b.r.status.phase == "RolledBack");
  CHECK(b.r.status.ending->reason == "DigestMismatch");
}

TEST_CASE("a signature that is not right is not waited for") {
  Bench b;
  b.serving_state.bad_signature = true;
  b.serving_state.candidate_problem = "bad signature";
  b.go();
  CHECK(b.r.status.phase == "RolledBack");
  CHECK(b.r.status.ending->reason == "BadSignature");
}

TEST_CASE("a newer wish supersedes, and gives the traffic back first") {
  Bench b;
  b.to_gates();
  b.superseded_by = "the spec asks for m-v3";
  CHECK(b.go().target.draining);
  b.give(0);
  b.go();
  CHECK(b.r.status.phase == "Superseded");
}

// The Model's status said that m-v2 is stable, then we crashed: the rollout that had succeeded was called
// superseded.
TEST_CASE("what the Model took as stable has succeeded, whatever is wished since") {
  Bench b;
  b.to_gates();
  b.stable = "m-v2";
  b.superseded_by = "the spec asks for m-v3";
  b.go();
  CHECK(b.r.status.phase == "Succeeded");
}

TEST_CASE("gates before the first weight need pods but no traffic") {
  Bench b;
  b.policy.steps = {test::gates({"accuracy"}), test::weight(50)};
  Advanced a = b.go();
  CHECK(a.target.candidate_pods);
  CHECK(a.target.warm_for == 50);
  CHECK(a.asks.empty());
  b.serving_state.candidate = {true, 5, 5, 5};
  b.serving_state.candidate_settled = true;
  b.measure("0.95");
  CHECK(waits_at(b, 2, 50));
}

TEST_CASE("gates on recorded metrics need not even pods") {
  Bench b;
  b.policy.steps = {test::gates({"recorded"}), test::weight(50)};
  b.candidate_metrics["f1"] = "0.5";
  CHECK_FALSE(b.go().target.candidate_pods);
  CHECK_FALSE(b.go().target.candidate_pods);
  CHECK(b.r.status.phase == "RolledBack");
}

TEST_CASE("a first version skips weights, pauses and Prometheus, not recorded gates") {
  Bench b;
  b.stable.clear();
  b.serving_state.stable = {};
  b.serving_state.selected = ServingState::Selected::Nobody;
  b.policy.steps = {test::gates({"recorded"}), test::weight(10), test::pause({}), test::gates({"accuracy"})};
  SECTION("that pass") {
    b.candidate_metrics["f1"] = "0.95";
    const Advanced a = b.go();
    CHECK(waits_at(b, 5, 100));
    CHECK(a.asks.empty());
    b.give(100);
    b.go();
    CHECK(b.r.status.phase == "Succeeded");
  }
  SECTION("that fail") {
    b.candidate_metrics["f1"] = "0.5";
    CHECK_FALSE(b.go().target.candidate_pods);
    CHECK_FALSE(b.go().target.candidate_pods);
    CHECK(b.r.status.phase == "Failed");
    CHECK(b.r.status.candidate_weight == 0);
  }
}

TEST_CASE("a gate that an earlier step measured is measured anew") {
  Bench b;
  b.policy.steps = {test::weight(10), test::gates({"accuracy"}), test::gates({"accuracy"})};
  b.go();
  b.give(10);
  b.go();
  b.measure("0.95");
  CHECK(b.r.status.step_index == 3);
  b.now += seconds(1);
  b.measure("0.1");
  CHECK(b.r.status.ending);
}

TEST_CASE("steps in words") {
  CHECK(describe(test::weight(10)) == "weight 10");
  CHECK(describe(test::pause(minutes(5))) == "pause 5m");
  CHECK(describe(test::pause({})) == "pause");
  CHECK(describe(test::gates({"accuracy", "latency"})) == "gates accuracy, latency");
  api::Step chosen, pods;
  chosen.match = api::Step::Match{{{"x-canary", "1", false}, {"x-team", "a|b", true}}};
  pods.candidate_replicas = 3;
  CHECK(describe(chosen) == "match x-canary: 1, x-team: ~a|b");
  CHECK(describe(pods) == "candidateReplicas 3");
}

}  // namespace
}  // namespace mo::rollout
