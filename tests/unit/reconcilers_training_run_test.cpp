// A run of training, stage by stage, and what becomes of Jobs that do not get on.
#include <catch2/catch.hpp>

#include "reconcilers/training/trials.h"
#include "tests/unit/reconcilers_training_make.h"

namespace mo::training {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using namespace test;
using Names = std::vector<std::string>;

// Run 1 is under way, and its only Job is there.
struct Under : Trained {
  Under() { settle(); }
  api::Job& train() { return job("m-run-000001-train"); }
  api::Pod& pod() {
    auto p = std::make_shared<api::Pod>();
    p->meta = mo::test::meta("p");
    p->meta.controller_uid = train().meta.uid;
    o.job_pods = {p};
    return *p;
  }
};

TEST_CASE("a run is one TrainingRun and one Job, whose result becomes a version and a rollout") {
  Trained t;
  t.gate("good", "f1", "0.9");
  t.spec().gates = {"good"};
  t.settle();
  CHECK(t.made == Names{"m-run-000001", "m-run-000001-train"});
  CHECK(t.run().trigger == "requested");
  CHECK(t.run().trigger_kind == "Request");
  CHECK(t.run_status().phase == "Training");
  CHECK(t.status().last_result == "Running");
  CHECK(t.bodies["m-run-000001-train"]["metadata"]["ownerReferences"][0]["kind"] == "TrainingRun");
  t.end("m-run-000001-train", result_of(R"({"f1": "0.95"})"));
  t.settle();
  CHECK(t.run_status().phase == "Succeeded");
  CHECK(t.run_status().score == "0.95");
  CHECK(t.run_status().version == "m-1111111111");
  CHECK(t.status().last_result == "Registered: m-1111111111, ModelRollout m-1111111111-run1");
  CHECK(t.made == Names{"m-run-000001", "m-run-000001-train", "m-1111111111", "m-1111111111-run1"});
  CHECK(t.bodies["m-1111111111"]["spec"]["lineage"]["run"] == Json{{"kind", "TrainingRun"}, {"name", "m-run-000001"}, {"seed", "1"}});
  CHECK_FALSE(t.status().run);
  CHECK(t.settle().actions.empty());
}

TEST_CASE("stages come one after the other, and what the evaluation finds takes the place of what training says") {
  Trained t;
  t.gate("rows", "rows", "100");
  t.gate("good", "f1", "0.9");
  t.spec().validate = api::TrainingStage{kPlainTemplate, {"rows"}};
  t.spec().evaluate = api::TrainingStage{kPlainTemplate, {"good"}};
  t.settle();
  CHECK(t.run_status().phase == "Validating");
  CHECK(t.jobs.size() == 1);
  CHECK(t.env("m-run-000001-validate", "MODELOPS_STAGE") == "validate");
  t.end("m-run-000001-validate", report_of(R"({"rows": 120})"));
  t.settle();
  CHECK(t.run_status().phase == "Training");
  CHECK(t.env("m-run-000001-train", "MODELOPS_SEED") == "1");
  t.end("m-run-000001-train", result_of(R"({"f1": "0.99"})"));
  t.settle();
  CHECK(t.run_status().phase == "Evaluating");
  const std::string evaluate = "m-run-000001-evaluate";
  CHECK(t.env(evaluate, "MODELOPS_CANDIDATE_PATH") == "/artifact/candidate/y");
  CHECK(t.env(evaluate, "MODELOPS_CHAMPION_PATH") == "/artifact/champion/m-v1");
  const Json& fetches = t.bodies[evaluate]["spec"]["template"]["spec"]["initContainers"];
  REQUIRE(fetches.size() == 2);
  CHECK(fetches[1]["args"].dump().find(digest_of('1')) != std::string::npos);
  t.end(evaluate, report_of(R"({"f1": "0.92"})", R"({"f1": "0.91"})"));
  t.settle();
  CHECK(t.run_status().phase == "Succeeded");
  CHECK(t.run_status().champion == "m-v1");
  CHECK(t.run_status().score == "0.92");
  CHECK(t.bodies["m-1111111111"]["spec"]["metrics"] == Json{{"f1", "0.92"}});
}

TEST_CASE("data that is not fit ends the run before training is paid for") {
  Trained t;
  t.gate("rows", "rows", "100");
  t.spec().validate = api::TrainingStage{kPlainTemplate, {"rows"}};
  t.settle();
  t.end("m-run-000001-validate", report_of(R"({"rows": 12})"));
  t.settle();
  CHECK(t.run_status().phase == "Rejected");
  CHECK(t.status().last_result == "Rejected: validation rejected the data: gate rows did not pass: 12 is below min 100");
  CHECK_FALSE(t.jobs.count("m-run-000001-train"));
}

TEST_CASE("a trainer that claims more than the evaluation finds is caught") {
  Trained t;
  t.gate("good", "f1", "0.9");
  t.spec().evaluate = api::TrainingStage{kPlainTemplate, {"good"}};
  t.settle();
  t.end("m-run-000001-train", result_of(R"({"f1": "0.99"})"));
  t.settle();
  SECTION("by figures") {
    t.end("m-run-000001-evaluate", report_of(R"({"f1": "0.5"})"));
    t.settle();
    CHECK(t.run_status().phase == "Rejected");
    CHECK(t.run_status().message == "gate good did not pass: 0.5 is below min 0.9 (training reported 0.99)");
  }
  SECTION("by its digest") {
    t.job("m-run-000001-evaluate").failed = true;
    t.job("m-run-000001-evaluate").failure_message = "BackoffLimitExceeded";
    auto pod = std::make_shared<api::Pod>();
    pod->meta = mo::test::meta("p");
    pod->meta.controller_uid = t.job("m-run-000001-evaluate").meta.uid;
    pod->digest_mismatch = true;
    pod->problem = "digest mismatch: want a, got b";
    t.o.job_pods = {pod};
    t.settle();
    CHECK(t.run_status().phase == "Failed");
    CHECK(t.run_status().message == "Job m-run-000001-evaluate failed: BackoffLimitExceeded; digest mismatch: want a, got b");
  }
  SECTION("by an evaluation that says nothing") {
    t.end("m-run-000001-evaluate", report_of("{}"));
    t.settle();
    CHECK(t.run_status().phase == "Failed");
  }
  CHECK(t.made == Names{"m-run-000001", "m-run-000001-train", "m-run-000001-evaluate"});  // no version
}

TEST_CASE("versusStable compares with what the same evaluation found of the champion, and with nothing else") {
  Trained t;
  t.gate("better", "f1", "0");
  t.model.rollout.gates.back().versus_stable = api::Gate::VersusStable{{}, *Decimal::parse("0.01"), {}, {}};
  t.spec().evaluate = api::TrainingStage{kPlainTemplate, {"better"}};
  t.settle();
  t.end("m-run-000001-train", result_of(R"({"f1": "0.9"})"));
  t.settle();
  SECTION("worse") {
    t.end("m-run-000001-evaluate", report_of(R"({"f1": "0.9"})", R"({"f1": "0.95"})"));
    t.settle();
    CHECK(t.run_status().phase == "Rejected");
  }
  SECTION("not measured") {
    t.end("m-run-000001-evaluate", report_of(R"({"f1": "0.9"})"));
    t.settle();
    CHECK(t.run_status().phase == "Rejected");
    CHECK(t.run_status().message.find("no figure of stable version m-v1 to compare with") != std::string::npos);
  }
  SECTION("as good") {
    t.end("m-run-000001-evaluate", report_of(R"({"f1": "0.9"})", R"({"f1": "0.905"})"));
    t.settle();
    CHECK(t.run_status().phase == "Succeeded");
  }
}

// ---- trials ----

api::Trials grid_of(const std::vector<std::string>& values, int parallelism) {
  api::Trials trials;
  trials.parallelism = parallelism;
  trials.parameters["lr"] = values;
  trials.objective.metric = "f1";
  return trials;
}

TEST_CASE("trials train side by side, and the best goes on in whatever order they end") {
  Names order = {"0", "1", "2"};
  do {
    Trained t;
    t.spec().trials = grid_of({"0.1", "1", "10"}, 3);
    t.settle();
    CHECK(t.jobs.size() == 3);
    CHECK(t.env("m-run-000001-train-t1", "MODELOPS_PARAM_LR") == "1");
    CHECK(t.env("m-run-000001-train-t1", "MODELOPS_TRIAL") == "1");
    const std::map<std::string, std::string> results = {{"0", result_of(R"({"f1": "0.8"})", 'a')},
                                                        {"1", result_of(R"({"f1": "0.95", "loss": 0.1})", 'b')},
                                                        {"2", result_of(R"({"f1": "0.95"})", 'c')}};
    for (const std::string& index : order) {
      t.end("m-run-000001-train-t" + index, results.at(index));
      t.settle();
    }
    CHECK(t.run_status().phase == "Succeeded");
    CHECK(t.run_status().version == "m-bbbbbbbbbb");
    CHECK(t.run_status().stage("train")->message == "trial 1 of 3 is the best: f1 0.95");
    CHECK(t.bodies["m-bbbbbbbbbb"]["spec"]["lineage"]["run"]["parameters"] == Json{{"lr", "1"}});
    for (const api::TrialStatus& trial : t.run_status().trials) CHECK(trial.phase == "Succeeded");
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("no more trials run at a time than parallelism says, and one that fails is passed over") {
  Trained t;
  t.spec().trials = grid_of({"0.1", "1"}, 1);
  t.settle();
  CHECK(t.jobs.size() == 1);
  SECTION("its Job fails") {
    t.job("m-run-000001-train-t0").failed = true;
    t.job("m-run-000001-train-t0").failure_message = "OOMKilled";
  }
  SECTION("it does not report the objective") { t.end("m-run-000001-train-t0", result_of(R"({"f2": "1"})")); }
  t.settle();
  CHECK(t.jobs.size() == 2);
  t.end("m-run-000001-train-t1", result_of(R"({"f1": "0.7"})", 'b'));
  t.settle();
  CHECK(t.run_status().phase == "Succeeded");
  CHECK(t.run_status().trials[0].phase == "Failed");
}

TEST_CASE("a run none of whose trials succeeds has failed") {
  Trained t;
  t.spec().trials = grid_of({"0.1", "1"}, 2);
  t.settle();
  for (const char* name : {"m-run-000001-train-t0", "m-run-000001-train-t1"}) t.end(name, "not json");
  t.settle();
  CHECK(t.run_status().phase == "Failed");
  CHECK(t.run_status().message.find("none of 2 trials succeeded, the first: the RunResult is not JSON") == 0);
}

TEST_CASE("a grid of a million is refused with the number, before anything starts") {
  Trained t;
  api::Trials trials = grid_of(Names(100, "1"), 1);
  trials.parameters["b"] = trials.parameters["c"] = Names(100, "1");
  t.spec().trials = trials;
  const Planned planned = t.settle();
  CHECK(planned.problem_reason == "InvalidTrials");
  CHECK(planned.problem.find("multiply to 1000000 trials") != std::string::npos);
  CHECK(t.status().suppressed.find("requested: spec.retraining.trials.parameters multiply to 1000000") == 0);
  CHECK(t.made.empty());
}

TEST_CASE("a sample is drawn by its seed, each combination once") {
  api::Trials trials = grid_of({"1", "2", "3", "4", "5", "6", "7", "8", "9"}, 1);
  trials.parameters["depth"] = {"1", "2", "3"};
  trials.sample = api::Trials::Sample::Random;
  trials.count = 20;
  const auto first = *expand(trials, {}, 7);
  CHECK(first.size() == 20);
  CHECK(std::set<Parameters>(first.begin(), first.end()).size() == 20);
  CHECK(*expand(trials, {}, 7) == first);
  CHECK(*expand(trials, {}, 8) != first);
  trials.count = 99;
  CHECK(expand(trials, {}, 7)->size() == 27);
  CHECK(*expand(trials, {{"lr", "5"}, {"depth", "2"}}, 7) == std::vector<Parameters>{{{"depth", "2"}, {"lr", "5"}}});
}

// ---- trained again ----

TEST_CASE("a run trains again with the next seed until its gates pass, and no more often than it may") {
  Trained t;
  t.gate("good", "f1", "0.9");
  t.spec().retry = api::Retry{{"good"}, 2, minutes(10)};
  t.settle();
  t.end("m-run-000001-train", result_of(R"({"f1": "0.5"})"));
  t.settle();
  CHECK(t.run_status().message.find("attempt 1 of 2: gate good did not pass: 0.5 is below min 0.9; the next attempt starts at 2026-11-22T09:10:00Z") == 0);
  CHECK(t.jobs.size() == 1);
  t.settle(minutes(10));
  CHECK(t.run_status().attempt == 2);
  CHECK(t.env("m-run-000001-train-a2", "MODELOPS_SEED") == "2");
  SECTION("it passes") {
    t.end("m-run-000001-train-a2", result_of(R"({"f1": "0.91"})"));
    t.settle(minutes(11));
    CHECK(t.run_status().phase == "Succeeded");
    CHECK(t.run_status().trials.size() == 2);
  }
  SECTION("it does not") {
    t.end("m-run-000001-train-a2", result_of(R"({"f1": "0.6"})"));
    t.settle(minutes(11));
    CHECK(t.run_status().phase == "Rejected");
    CHECK(t.status().last_result == "Rejected: attempt 2 of 2: gate good did not pass: 0.6 is below min 0.9");
    CHECK(t.bodies.count("m-1111111111") == 0);
  }
}

// ---- ended from outside ----

TEST_CASE("a run that is cancelled ends at once, and its Jobs go") {
  Under t;
  t.run().desired_state = "Cancelled";
  t.settle();
  CHECK(t.run_status().phase == "Cancelled");
  CHECK(t.deleted == Names{"m-run-000001-train"});
  CHECK(t.status().last_result == "Cancelled: desiredState is Cancelled");
  CHECK(t.settle().actions.empty());  // the request was answered
}

TEST_CASE("a run whose object is deleted is over") {
  Under t;
  t.runs.clear();
  t.settle();
  CHECK(t.status().last_result == "Cancelled: TrainingRun m-run-000001 was deleted before it ended");
  CHECK(t.made.size() == 2);
}

TEST_CASE("a run ends at its deadline, whatever it does") {
  Trained t;
  t.spec().deadline = minutes(30);
  t.settle();
  CHECK(t.settle(minutes(10)).look_again == kNow + minutes(30));
  t.settle(minutes(30));
  CHECK(t.run_status().phase == "Failed");
  CHECK(t.run_status().message == "it did not finish in stage train within limits.deadline 30m");
  CHECK(t.jobs.empty());
}

TEST_CASE("a run that an operator before TrainingRuns started is carried on") {
  Trained t;
  t.status().run_number = 1;
  t.status().observed_request = kNow;
  t.status().run = api::RetrainingRun{1, "m-retrain-000001", "nightly", kNow};
  t.status().run->job_uid = "uid-m-retrain-000001";
  t.add_job("m-retrain-000001", "uid-m");
  t.settle();
  CHECK(t.made == Names{"m-run-000001"});
  CHECK(t.run_status().trials[0].job == "m-retrain-000001");
  t.end("m-retrain-000001", result_of(R"({"f1": "0.95"})"));
  t.settle();
  CHECK(t.run_status().phase == "Succeeded");
  CHECK(t.made == Names{"m-run-000001", "m-1111111111", "m-1111111111-run1"});
}

// ---- Jobs that do not get on ----

TEST_CASE("a run whose Job has no pod that begins says why, and ends after startDeadline") {
  Under t;
  t.pod().problem = "ErrImagePull: no such image";
  Planned planned = t.look();
  CHECK(planned.status.last_result == "Running: Job m-run-000001-train: ErrImagePull: no such image");
  CHECK(planned.look_again == kNow + hours(1));
  t.settle(minutes(59));
  CHECK(t.status().run);
  t.settle(hours(1));
  CHECK_FALSE(t.status().run);
  CHECK(t.status().last_result ==
        "Failed: Job m-run-000001-train: ErrImagePull: no such image; no pod started within startDeadline 1h");
  CHECK(t.deleted == Names{"m-run-000001-train"});
}

TEST_CASE("a run may train for days once a pod of it has begun") {
  Under t;
  t.pod().begun = true;
  t.settle(hours(72));
  CHECK(t.status().run);
  CHECK(t.status().last_result == "Running");
}

TEST_CASE("a run that a queue holds back is Queued, and waits as long as it takes") {
  Trained t;
  t.spec().kueue = "team-a";
  t.settle();
  const Json& job = t.bodies["m-run-000001-train"];
  CHECK(job["spec"]["suspend"] == true);
  CHECK(job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a");
  t.job("m-run-000001-train").suspended = true;
  t.settle(hours(72));
  CHECK(t.run_status().phase == "Queued");
  CHECK(t.run_status().message == "Job m-run-000001-train is suspended: LocalQueue team-a has not admitted it");
  CHECK(t.status().last_result == "Queued: " + t.run_status().message);
  t.job("m-run-000001-train").suspended = false;
  t.job("m-run-000001-train").started = kNow + hours(72);
  t.look(hours(72));
  CHECK(t.run_status().phase == "Training");
}

TEST_CASE("a Job that is not the run's is not believed") {
  Under t;
  t.train().complete = true;
  SECTION("a gate's") {
    t.train().gate_of = "uid-r";
    t.train().meta.controller_uid = "uid-m";
    const Planned planned = t.look();
    CHECK(planned.asks.empty());
    CHECK(planned.problem_reason == "JobNameTaken");
    CHECK(planned.problem.find("Job m-run-000001-train already exists") == 0);
  }
  SECTION("one that was made after the run's own was deleted") {
    t.train().meta.uid = "uid-after";
    t.settle();
    CHECK(t.status().last_result == "Failed: Job m-run-000001-train disappeared before its result was read");
  }
}

TEST_CASE("a Job that somebody else's is in the way of is tried again") {
  Trained t;
  t.look();
  t.look();
  t.refuse = true;
  t.jobs.clear();
  t.run_status().trials[0].job_uid.clear();
  Planned planned = t.look();
  const auto& apply = std::get<Apply>(planned.actions.at(0));
  t.o.refusals = {{apply.target, Error{ErrorKind::Conflict, "there is one already, which is not this Model's", 409, {}, {}}, apply.hash, kNow}};
  planned = t.look();
  CHECK(planned.problem_reason == "JobNameTaken");
  CHECK(planned.actions.size() == 1);
}

TEST_CASE("the Job of a run that was closed goes, if a crash left it") {
  Under t;
  t.run_status().phase = "Failed";
  t.run_status().finished = kNow;
  t.settle();
  CHECK(t.deleted == Names{"m-run-000001-train"});
}

TEST_CASE("bits whose rollout failed stay so when that rollout has gone as history") {
  Under t;
  api::ModelVersion& v = t.version("m-1111111111");
  v.artifact.digest = digest_of('1');
  v.phase = "Rejected";
  v.message = "gate accuracy failed";
  SECTION("it failed") {
    v.failed_rollout = "r-1";
    t.end("m-run-000001-train", result_of("{}"));
    t.settle();
    CHECK(t.status().last_result ==
          "Rejected: the run produced the same artifact as m-1111111111, whose ModelRollout r-1 failed: gate accuracy failed");
  }
  SECTION("it was only rejected by the gates of a run before, and now passes them") {
    t.end("m-run-000001-train", result_of("{}"));
    t.settle();
    CHECK(t.made.back() == "m-1111111111-run1");
  }
}

}  // namespace
}  // namespace mo::training
