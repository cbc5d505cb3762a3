// The Job of a training run: whose it is, and what becomes of one that does not get on.
#include <catch2/catch.hpp>

#include "reconcilers/retraining/retraining.h"
#include "tests/unit/reconcilers_make.h"

namespace mo::retraining {
namespace {

using test::kNow;
using std::chrono::hours;
using std::chrono::minutes;

// Run 1 of Model m is under way, and its Job is there.
struct Run : test::Scene {
  Run() {
    serving("m-v1");
    model.track = "Promoted";
    model.retraining.emplace();
    model.retraining->job_template = R"({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}})";
    auto& s = model.status.retraining;
    s.run_number = 1;
    s.run = api::RetrainingRun{1, "m-retrain-000001", "t", kNow, ""};
    s.last_run = s.run->name;
    job = &add(s.run->name);
  }
  api::Job& add(const std::string& name) {
    auto made = std::make_shared<api::Job>();
    made->meta = test::meta(name);
    made->meta.controller_uid = "uid-m";
    o.jobs[name] = made;
    return *made;
  }
  api::Pod& pod() {
    auto p = std::make_shared<api::Pod>();
    p->meta = test::meta("p");
    p->meta.controller_uid = job->meta.uid;
    o.job_pods = {p};
    return *p;
  }
  Planned look(Duration later = Duration(0)) {
    const Observed& o = observed();
    Planned planned = plan(o, rollout::resolve(o), "m-v1", true, {}, kNow + later);
    model.status.retraining = planned.status;
    return planned;
  }
  static std::vector<std::string> deleted(const Planned& planned) {
    std::vector<std::string> names;
    for (const Action& action : planned.actions)
      if (const auto* removal = std::get_if<Delete>(&action)) names.push_back(removal->target.key.name);
    return names;
  }
  api::Job* job = nullptr;
};

TEST_CASE("a run whose Job has no pod that begins says why, and ends after startDeadline") {
  Run r;
  r.pod().problem = "ErrImagePull: no such image";
  Planned planned = r.look();
  CHECK(planned.status.last_result == "Running: Job m-retrain-000001: ErrImagePull: no such image");
  CHECK(planned.look_again == kNow + hours(1));
  planned = r.look(minutes(59));
  CHECK(planned.status.run);
  planned = r.look(hours(1));
  CHECK(!planned.status.run);
  CHECK(planned.status.last_result ==
        "Rejected: Job m-retrain-000001: ErrImagePull: no such image; no pod of it began within startDeadline 1h");
  CHECK(Run::deleted(planned) == std::vector<std::string>{"m-retrain-000001"});
}

TEST_CASE("a run may train for days once a pod of it has begun") {
  Run r;
  r.pod().begun = true;
  CHECK(r.look(hours(72)).status.run);
  CHECK(r.model.status.retraining.last_result == "Running");
}

TEST_CASE("a run that a queue holds back waits as long as it takes") {
  Run r;
  r.job->suspended = true;
  CHECK(r.look(hours(72)).status.run);
}

TEST_CASE("the Job of a run that was closed goes, if a crash left it") {
  Run r;
  r.model.status.retraining.run.reset();
  r.model.status.retraining.run_number = 2;
  r.add("m-retrain-000002").complete = true;
  CHECK(Run::deleted(r.look()) == std::vector<std::string>{"m-retrain-000001"});
  // One of a number that is not on record yet is a newer leader's.
  r.model.status.retraining.run_number = 0;
  CHECK(Run::deleted(r.look()).empty());
}

TEST_CASE("a Job that is not the run's is not believed") {
  Run r;
  r.job->complete = true;
  SECTION("a gate's") {
    r.job->gate_of = "uid-r";
    const Planned planned = r.look();
    CHECK(planned.asks.empty());
    CHECK(planned.problem_reason == "JobNameTaken");
    CHECK(planned.problem.find("Job m-retrain-000001 exists already") == 0);
  }
  SECTION("one that was made after the run's own was deleted") {
    r.model.status.retraining.run->job_uid = "uid-before";
    const Planned planned = r.look();
    CHECK(planned.asks.empty());
    CHECK(planned.status.last_result == "Rejected: Job m-retrain-000001 disappeared before its result was read");
  }
  SECTION("somebody else's, which the API server found in the way") {
    r.o.jobs.clear();
    Planned planned = r.look();
    const auto& apply = std::get<Apply>(planned.actions.at(0));
    r.o.refusals = {{apply.target, Error{ErrorKind::Conflict, "there is one already, which is not this Model's", 409, {}, {}}, apply.hash, kNow}};
    planned = r.look();
    CHECK(planned.problem_reason == "JobNameTaken");
    CHECK(planned.actions.size() == 1);  // tried again, in case it has gone
  }
}

TEST_CASE("bits whose rollout failed stay so when that rollout has gone as history") {
  Run r;
  api::ModelVersion& v = r.version("m-1111111111");
  v.artifact.digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
  v.phase = "Rejected";
  v.message = "gate accuracy failed";
  r.job->complete = true;
  const std::string result =
      R"({"apiVersion": "modelops.dev/v1alpha1", "kind": "RunResult", "metrics": {}, "artifact": {"uri": "http://x/y", "digest": ")" +
      v.artifact.digest + R"(", "format": {"name": "rules", "version": "1"}}})";
  Answer answer;
  answer.text = result;
  r.o.answers["run/" + r.job->meta.uid] = answer;
  SECTION("it failed") {
    v.failed_rollout = "r-1";
    CHECK(r.look().status.last_result ==
          "Unchanged: the run made the same bits as m-1111111111, whose ModelRollout r-1 failed: gate accuracy failed");
  }
  SECTION("it was only rejected by the gates of a run before, and now passes them") {
    const Planned planned = r.look();
    REQUIRE(!planned.actions.empty());
    CHECK(std::get<Apply>(planned.actions.back()).target.kind == Kind::ModelRollout);
  }
}

}  // namespace
}  // namespace mo::retraining
