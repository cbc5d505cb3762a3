// The Jobs of gates: their names, whose they are, which of them stay, and what keeps them.
#include <catch2/catch.hpp>

#include "reconcilers/common/job.h"
#include "reconcilers/model/plan.h"
#include "reconcilers/measure/job.h"
#include "tests/unit/reconcilers_bench.h"

namespace mo::rollout {
using namespace measure;
namespace {

using test::Bench;
using test::kNow;
using std::chrono::minutes;

// At a step that a Job decides.
struct ByJob : Bench {
  ByJob() {
    api::Gate gate;
    gate.name = "fairness";
    gate.job = api::Gate::Job{"{}", "impact"};
    gate.min = Decimal::parse("0.8");
    gate.interval = std::chrono::seconds(10);
    policy.gates.push_back(gate);
    policy.steps = {test::weight(10), test::gates({"fairness"})};
    go();
    give(10);
  }
  // The Job that this turn asks for; "" if it asks for none.
  std::string asked() {
    const Advanced a = go();
    return a.jobs.empty() ? "" : a.jobs.begin()->first;
  }
  api::Job& make(const std::string& name) {
    auto job = std::make_shared<api::Job>();
    job->meta = test::meta(name);
    job->meta.controller_uid = "uid-m";
    job->gate_of = "uid-r";
    job->gate = "fairness";
    jobs[name] = job;
    return *job;
  }
};

TEST_CASE("a gate's Job has a name of at most 63 characters with a long hash") {
  const std::string name = gate_job_name("m", "fairness", "id");
  CHECK(name.substr(0, 11) == "m-fairness-");
  CHECK(name.size() == 11 + 24);
  CHECK(name != gate_job_name("m", "fairness", "id2"));
  CHECK(gate_job_name("m", "a b", "id").substr(0, 6) == "m-a-b-");
  const std::string longest = gate_job_name(std::string(48, 'm'), std::string(63, 'g'), "id");
  CHECK(longest.size() == 63);
  CHECK(longest != gate_job_name(std::string(48, 'm'), std::string(63, 'g'), "id2"));
  // Two Models whose names begin alike.
  CHECK(gate_job_name(std::string(47, 'm') + "1", "g", "id") != gate_job_name(std::string(47, 'm') + "2", "g", "id"));
}

TEST_CASE("a pause does not begin another Job beside the one that runs") {
  ByJob b;
  const std::string name = b.asked();
  REQUIRE(!name.empty());
  b.make(name);
  b.desire("Paused");
  b.go();
  b.now += minutes(7);
  CHECK(b.go().jobs.empty());
  b.desire("Running");
  b.now += minutes(1);
  const Advanced resumed = b.go();
  CHECK(resumed.jobs.empty());
  b.now += minutes(1);
  CHECK(b.go().measuring == std::map<std::string, std::string>{{"fairness", name}});
}

TEST_CASE("a Job that was asked for before a pause is asked for by the same name after it") {
  ByJob b;
  const std::string name = b.asked();
  b.desire("Paused");
  b.go();
  b.now += minutes(7);
  b.desire("Running");
  b.go();
  b.now += minutes(1);
  CHECK(b.asked() == name);
}

TEST_CASE("a step that is tried again measures by another Job, and the old one goes first") {
  ByJob b;
  b.policy.on_failure = api::RolloutPolicy::OnFailure::Pause;
  b.r.status.policy = b.policy;
  const std::string first = b.asked();
  b.make(first);
  b.r.status.paused_at = b.now;
  b.r.status.pause_reason = "ProgressDeadlineExceeded";
  b.r.status.phase = "Paused";
  b.r.resume_requested_at = b.now;
  b.go();
  CHECK(b.r.status.attempt == 1);
  b.now += minutes(1);
  const Advanced again = b.go();
  REQUIRE(again.jobs.size() == 1);
  CHECK(again.jobs.begin()->first != first);
  const auto tidied = tidy_gate_jobs(b.jobs, "uid-r", again.measuring);
  REQUIRE(tidied.size() == 1);
  CHECK(std::get<Delete>(tidied[0]).target.key.name == first);
}

TEST_CASE("a Job of that name that is not of the gate is never believed") {
  ByJob b;
  api::Job& job = b.make(b.asked());
  job.complete = true;
  SECTION("another rollout's") { job.gate_of = "uid-other"; }
  SECTION("another gate's") { job.gate = "other"; }
  SECTION("one that trains") { job.gate_of.clear(); }
  const Advanced a = b.go();
  CHECK(a.asks.empty());
  CHECK(a.jobs.empty());
  CHECK(a.job_taken == job.meta.key.name);
  CHECK(a.status.message.find("already exists and does not belong to the operator") != std::string::npos);
}

TEST_CASE("three finished Jobs of a gate stay, the youngest, beside the one that is measured by") {
  ByJob b;
  for (int i = 0; i < 6; ++i) {
    api::Job& job = b.make("old-" + std::to_string(i));
    job.complete = true;
    job.meta.created = kNow + minutes(i);
  }
  b.make("now").complete = true;
  const std::map<std::string, std::string> measuring = {{"fairness", "now"}};
  std::vector<std::string> gone;
  for (const Action& action : tidy_gate_jobs(b.jobs, "uid-r", measuring)) gone.push_back(std::get<Delete>(action).target.key.name);
  CHECK(gone == std::vector<std::string>{"old-2", "old-1", "old-0"});
  // Not while it is unknown by which of them the gate is measured, and none of another rollout's.
  CHECK(tidy_gate_jobs(b.jobs, "uid-r", {}).empty());
  CHECK(tidy_gate_jobs(b.jobs, "uid-other", measuring).empty());
}

TEST_CASE("a Job that an operator before this one measures by is measured anew") {
  ByJob b;
  b.make("m-fairness-0badcafe").gate.clear();
  const auto tidied = tidy_gate_jobs(b.jobs, "uid-r", {});
  REQUIRE(tidied.size() == 1);
  CHECK(std::get<Delete>(tidied[0]).target.key.name == "m-fairness-0badcafe");
  b.make("m-fairness-0badcafe").complete = true;
  CHECK(tidy_gate_jobs(b.jobs, "uid-r", {}).empty());
}

// ---- Jobs that do not get on ----

struct Stuck : test::Scene {
  Stuck() {
    job.meta = test::meta("j");
    job.meta.created = kNow;
  }
  api::Pod& pod() {
    auto p = std::make_shared<api::Pod>();
    p->meta = test::meta("j-" + std::to_string(o.job_pods.size()));
    p->meta.controller_uid = "uid-j";
    p->meta.created = kNow;
    p->job_of = "m";
    o.job_pods.push_back(p);
    job.active = 1;
    return *p;
  }
  JobTrouble at(Duration later) { return trouble_of(observed(), job, kNow + later); }
  api::Job job;
};

TEST_CASE("what keeps a Job is told") {
  Stuck s;
  SECTION("no pod could be made") {
    CHECK(s.at(Duration(0)).why.empty());
    CHECK(s.at(Duration(0)).look_again == kNow + std::chrono::seconds(10));
    CHECK(s.at(minutes(1)).why.find("Job j has no pod, so none can be created (quota") == 0);
    CHECK(s.at(minutes(1)).waiting_since == kNow);
  }
  SECTION("its image cannot be pulled") {
    s.pod().problem = "ErrImagePull: no such image";
    CHECK(s.at(Duration(0)).why == "Job j: ErrImagePull: no such image");
    CHECK(s.at(minutes(1)).waiting_since == kNow);
  }
  SECTION("the last pod counts") {
    s.pod().ended = true;
    s.pod().problem = "ErrImagePull: no such image";
    const_cast<api::Pod&>(*s.o.job_pods.back()).meta.created = kNow + minutes(5);
    CHECK(s.at(minutes(9)).waiting_since == kNow + minutes(5));
  }
  SECTION("it is on its way") {
    s.pod();
    CHECK(s.at(minutes(1)).why.empty());
    CHECK(s.at(minutes(1)).waiting_since == kNow);
  }
  SECTION("it runs") {
    s.pod().begun = true;
    CHECK(!s.at(minutes(1)).waiting_since);
  }
  SECTION("it crashes again and again: that is told, and its Job's own limits end it") {
    api::Pod& pod = s.pod();
    pod.begun = true;
    pod.problem = "CrashLoopBackOff: container c ended with exit code 1";
    CHECK(!s.at(minutes(1)).waiting_since);
    CHECK(s.at(minutes(1)).why == "Job j: CrashLoopBackOff: container c ended with exit code 1");
  }
  SECTION("a queue holds it back") {
    s.job.suspended = true;
    CHECK(!s.at(minutes(90)).waiting_since);
    CHECK(s.at(minutes(90)).why.empty());
  }
  SECTION("its pods are not known, since an operator before this one made it") {
    s.job.active = 1;
    CHECK(!s.at(minutes(90)).waiting_since);
  }
}

}  // namespace
}  // namespace mo::rollout
