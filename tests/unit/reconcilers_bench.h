// One rollout at the bench, from phase to phase.
#pragma once

#include <map>
#include <string>

#include "reconcilers/rollout/advance.h"
#include "tests/unit/reconcilers_make.h"

namespace mo::test {

using rollout::Advanced;
using serving::ServingState;

// A rollout from m-v1 to m-v2 that is given what it asks for, unless the test holds it back.
struct Bench {
  Bench() {
    r.meta = test::meta("r");
    r.model = "m";
    r.version = "m-v2";
    policy = test::policy();
    serving_state.replicas = 10;
    serving_state.stable = {true, 10, 10, 10};
    serving_state.selected = ServingState::Selected::Stable;
  }

  // What serving makes of a weight.
  void give(int weight) {
    const serving::Capacity c = serving::capacity_for(serving_state.replicas, weight);
    serving_state.candidate = {true, c.candidate, c.candidate, c.candidate};
    serving_state.candidate_settled = true;
    serving_state.stable = {true, c.stable, c.stable, c.stable};
    serving_state.selected = weight == 0     ? ServingState::Selected::Stable
                      : weight == 100 ? ServingState::Selected::Candidate
                                      : ServingState::Selected::Both;
    if (weight == 0) serving_state.stable = {true, serving_state.replicas, serving_state.replicas, serving_state.replicas};
  }

  Advanced go() {
    Advanced a = rollout::advance({r, policy, stable, serving_state, &candidate_metrics, &stable_metrics, answers, jobs, superseded_by,
                                   {}, {}, digest, stable_digest, "", served_before},
                                  now);
    r.status = a.status;
    return a;
  }

  // Answers the gate that is asked now.
  Advanced measure(const char* value) {
    const Advanced asking = go();
    REQUIRE(asking.asks.size() == 1);
    Answer answer;
    answer.at = now;
    if (*value)
      answer.value.value = Decimal::parse(value);
    else
      answer.value.problem = "no data";
    answers = {{asking.asks[0].id, answer}};
    Advanced a = go();
    answers.clear();
    return a;
  }

  // At the gates of step 3 with a weight of 10.
  void to_gates() {
    go();
    give(10);
    go();
    now += std::chrono::minutes(1);
    go();
    REQUIRE(r.status.step_index == 3);
  }

  void desire(const char* state) {
    r.desired_state = state;
    ++r.meta.generation;
  }

  // Asks it to go on, as kubectl model resume does.
  void resume() {
    r.resume_requested_at = now + Duration(++r.meta.generation);
  }

  // No data, as often as a gate tolerates it and once more.
  Advanced no_data() {
    Advanced a = measure("");
    while (!r.status.paused_at && !r.status.ending) {
      now += std::chrono::minutes(1);
      a = measure("");
    }
    return a;
  }

  api::ModelRollout r;
  api::RolloutPolicy policy;
  std::string stable = "m-v1";
  ServingState serving_state;
  std::map<std::string, std::string> candidate_metrics, stable_metrics;
  std::map<std::string, Answer> answers;
  std::map<std::string, Ref<api::Job>> jobs;
  std::string superseded_by;
  std::string digest = "sha256:m-v2", stable_digest = "sha256:m-v1";
  bool served_before = false;
  TimePoint now = kNow;
};

inline bool waits_at(const Bench& b, int step, int weight) {
  return b.r.status.step_index == step && b.r.status.candidate_weight == weight;
}

}  // namespace mo::test
