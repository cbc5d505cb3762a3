// Training by kinds that the operator doesn't know.
#include <catch2/catch.hpp>

#include "reconcilers/training/workload.h"
#include "tests/unit/reconcilers_training_make.h"

namespace mo::training {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using namespace test;
using Catch::Contains;
using Catch::StartsWith;

const std::string kTrain = "m-run-000001-train";

// The engine's objects, answered for as the evidence module does.
struct Engine : Trained {
  Engine() {
    spec().job_template.clear();
    api::TrainingWorkload workload;
    workload.object = R"json({"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "metadata": {"labels": {"team": "a"}},
      "spec": {"seed": "$(MODELOPS_SEED)", "c": "$(MODELOPS_PARAM_C)", "out": "x/$(MODELOPS_OUTPUT)", "kept": "$(HOME) $(MODELOPS_PARAM_D) $("}})json";
    workload.resource = "jobsets";
    workload.success = workload.failure = "self.ok";
    workload.result.pods = {{"jobset.sigs.k8s.io/jobset-name", "$(MODELOPS_NAME)"}};
    spec().workload = workload;
    spec().deadline = hours(8);
  }
  void say(const Json& words) { said = words; }
  // Answers all that is asked of the object, and looks on.
  Planned go(Duration later = Duration(0)) {
    Planned planned;
    for (int i = 0; i < 8; ++i) {
      planned = settle(later);
      bool fresh = false;
      for (const Ask& ask : planned.asks) {
        const auto* question = std::get_if<AskWorkload>(&ask.question);
        if (!question) continue;
        asked = *question;
        Answer answer;
        if (problem.empty())
          answer.text = (question->name == absent ? Json{{"there", false}, {"served", true}} : said).dump();
        else
          answer.problem = problem;
        fresh |= !o.answers.count(ask.id);
        if (!o.answers.count(ask.id)) o.answers[ask.id] = answer;
      }
      if (!fresh) break;
    }
    return planned;
  }
  Json there(Json more = Json::object()) {
    Json words = {{"there", true}, {"uid", "uid-w"}, {"owner", run().meta.uid}};
    words.update(more);
    return words;
  }
  const api::TrialStatus& trial() { return run_status().trials.at(0); }
  const std::string& message() { return run_status().message; }

  Json said = {{"there", false}, {"served", true}};
  std::string problem, absent;  // `absent`: the name of an object that is not there whatever is said
  AskWorkload asked;
};

// The JobSet runs, and its UID is on record.
struct Running : Engine {
  Running() {
    go();
    say(there());
    go(seconds(10));
  }
};

}  // namespace

TEST_CASE("a run trains by an object of any kind, whose result becomes a version") {
  Engine t;
  t.spec().trials = api::Trials{.parameters = {{"C", {"0.1"}}}, .objective = {"f1"}};
  const std::string name = kTrain + "-t0";
  t.go();
  REQUIRE(t.bodies.count(name));
  const Json& made = t.bodies[name];
  CHECK(made["kind"] == "JobSet");
  CHECK(made["spec"] == Json{{"seed", "1"}, {"c", "0.1"}, {"out", "x/ns/m/" + name}, {"kept", "$(HOME) $(MODELOPS_PARAM_D) $("}});
  CHECK(made["metadata"]["name"] == name);
  CHECK(made["metadata"]["labels"]["team"] == "a");
  CHECK(made["metadata"]["ownerReferences"][0]["uid"] == t.run().meta.uid);
  CHECK(t.trial().workload.kind == "JobSet");
  CHECK(t.asked.collection == "/apis/jobset.x-k8s.io/v1alpha2/namespaces/ns/jobsets");
  CHECK(t.asked.result_pods == "jobset.sigs.k8s.io/jobset-name=" + name);
  t.say(t.there());
  t.go(seconds(10));
  CHECK(t.trial().job_uid == "uid-w");
  CHECK(t.run_status().phase == "Training");
  CHECK(t.message() == "JobSet " + name + " is running");
  t.say(t.there({{"succeeded", true}, {"result", result_of(R"({"f1": "0.95"})")}}));
  t.go(seconds(20));
  CHECK(t.run_status().phase == "Succeeded");
  CHECK(t.run_status().version == "m-1111111111");
  CHECK(t.run_status().job_seconds == 20);
  CHECK(t.deleted.empty());
  CHECK(std::set<std::string>(t.made.begin(), t.made.end()).size() == 4);  // the run, the JobSet, version and rollout
}

TEST_CASE("a workload whose kind this cluster does not serve is waited for, and made once it does") {
  Engine t;
  t.say({{"there", false}, {"served", false}});
  t.go();
  CHECK_THAT(t.message(), Contains("this cluster does not serve JobSet (jobsets of jobset.x-k8s.io/v1alpha2); install its engine"));
  CHECK(t.status().last_result == t.message());
  CHECK_FALSE(t.bodies.count(kTrain));
  t.say({{"there", false}, {"served", true}});
  t.go(seconds(10));
  CHECK(t.bodies.count(kTrain));
}

TEST_CASE("a workload that fails, goes, or goes with its kind ends the run with the reason") {
  Running t;
  SECTION("fails") {
    t.say(t.there({{"failed", true}, {"succeeded", true}, {"says", "Failed: OOM"}}));
    t.go(seconds(20));
    CHECK_THAT(t.status().last_result, Contains("JobSet m-run-000001-train failed: Failed: OOM"));
    CHECK(t.deleted.empty());  // for people to look at
  }
  SECTION("is deleted") {
    t.say({{"there", false}, {"served", true}});
    t.go(seconds(20));
    CHECK_THAT(t.status().last_result, Contains("was deleted before its result was read"));
  }
  SECTION("is another one") {
    t.say(t.there({{"uid", "uid-other"}}));
    t.go(seconds(20));
    CHECK_THAT(t.status().last_result, Contains("was deleted before its result was read"));
  }
  SECTION("its CRD is deleted") {
    t.say({{"there", false}, {"served", false}});
    t.go(seconds(20));
    CHECK_THAT(t.status().last_result, Contains("was deleted together with its kind"));
  }
  SECTION("says nothing that can be used") {
    t.say(t.there({{"succeeded", true}, {"resultProblem", "no pod is left"}}));
    t.go(seconds(20));
    CHECK_THAT(t.status().last_result, Contains("succeeded, but no pod is left"));
  }
  CHECK(t.run_status().phase == "Failed");
  CHECK(t.bodies.count("m-1111111111") == 0);
}

TEST_CASE("a workload's RunResult that pods have yet to report is waited for, but not for ever") {
  Running t;
  const Json awaited = t.there({{"succeeded", true}, {"awaited", true}, {"resultProblem", "others have not ended"}});
  t.say(awaited);
  t.go(seconds(20));
  CHECK(t.run_status().phase == "Training");
  CHECK(t.message() == "JobSet m-run-000001-train succeeded; waiting for its RunResult until " + format_time(kNow + seconds(140)) + ", because some of its pods have not ended");
  CHECK(t.status().last_result == "Running: " + t.message());
  CHECK(t.trial().phase == "Running");
  CHECK(t.trial().finished == kNow + seconds(20));
  SECTION("it comes") {
    t.say(t.there({{"succeeded", true}, {"result", result_of(R"({"f1": "0.95"})")}}));
    t.go(seconds(90));
    CHECK(t.run_status().phase == "Succeeded");
    CHECK(t.trial().finished == kNow + seconds(90));
  }
  SECTION("it comes at no time") {
    t.go(seconds(130));
    CHECK(t.run_status().phase == "Training");
    t.go(seconds(140));
    CHECK(t.run_status().phase == "Failed");
    CHECK_THAT(t.status().last_result, Contains("JobSet m-run-000001-train succeeded, but others have not ended"));
  }
  SECTION("success was not its last word") {
    t.say(t.there());
    t.go(seconds(90));
    CHECK_FALSE(t.trial().finished);
    t.say(awaited);
    t.go(seconds(200));
    CHECK(t.run_status().phase == "Training");
    CHECK(t.trial().finished == kNow + seconds(200));
  }
  SECTION("it is called off meanwhile") {
    t.run().desired_state = "Cancelled";
    t.go(seconds(30));
    CHECK(t.deleted.back() == kTrain);
  }
}

TEST_CASE("a workload whose end cannot be told goes on, and status says why") {
  Running t;
  t.say(t.there({{"problem", "success: no such field: conditions (at character 13)"}}));
  t.go(seconds(20));
  CHECK(t.run_status().phase == "Training");
  CHECK_THAT(t.message(), Contains("its success and failure cannot be evaluated: success: no such field: conditions (at character 13)"));
  t.say(t.there({{"suspended", true}}));
  t.spec().kueue = "team-a";
  t.go(seconds(30));
  CHECK(t.run_status().phase == "Queued");
  CHECK(t.message() == "JobSet m-run-000001-train is suspended: LocalQueue team-a has not admitted it");
}

TEST_CASE("a run that is called off deletes its workload before it is over") {
  Running t;
  SECTION("by a person") {
    t.run().desired_state = "Cancelled";
    t.go(seconds(20));
    CHECK_THAT(t.message(), StartsWith("ends as Cancelled: desiredState is Cancelled; JobSet m-run-000001-train is being deleted"));
    CHECK_FALSE(t.run_status().finished);
    CHECK(t.deleted.back() == kTrain);
    t.say({{"there", false}, {"served", true}});
    t.go(seconds(30));
    CHECK(t.run_status().phase == "Cancelled");
  }
  SECTION("by its deadline") {
    t.go(hours(8));
    CHECK(t.deleted.back() == kTrain);
    t.say(t.there({{"deleting", true}}));
    t.go(hours(8) + seconds(4));
    CHECK(t.run_status().phase == "Failed");
    CHECK_THAT(t.message(), Contains("limits.deadline 8h"));
  }
  SECTION("by an edit") {
    t.spec().workload.reset();
    t.spec().job_template = kPlainTemplate;
    t.go(seconds(20));
    CHECK(t.deleted.back() == kTrain);
    t.say({{"there", false}, {"served", true}});
    t.go(seconds(30));
    CHECK_THAT(t.status().last_result, Contains("spec.retraining.workload was removed before JobSet m-run-000001-train ended"));
  }
  SECTION("with all of retraining") {
    t.model.retraining.reset();
    t.go(seconds(20));
    CHECK(t.deleted.back() == kTrain);
    CHECK(t.status().run);
    t.say({{"there", false}, {"served", true}});
    t.go(seconds(30));
    CHECK(t.run_status().phase == "Cancelled");
    CHECK_FALSE(t.status().run);
  }
}

TEST_CASE("what the operator may not do is told with the way out") {
  Engine t;
  t.problem = "cannot read JobSet m-run-000001-train: jobsets is forbidden: User \"o\" cannot get resource \"jobsets\"";
  t.go();
  CHECK_THAT(t.message(), Contains("ClusterRole with the label modelops.dev/aggregate-to-operator"));
}

TEST_CASE("a workload that admission refuses fails the run, one of another owner stops it") {
  Engine t;
  t.go();
  SECTION("refused") {
    t.said = {{"there", false}, {"served", true}};
    const Json body = t.bodies.at(kTrain);
    Refusal refusal{{Kind::Workload, {"ns", kTrain}}, {}, hash_of(body.dump()), kNow};
    refusal.error.kind = ErrorKind::Invalid;
    refusal.error.message = "spec.replicatedJobs: Required value";
    t.o.refusals = {refusal};
    t.go(seconds(10));
    CHECK_THAT(t.status().last_result, Contains("JobSet m-run-000001-train was refused: spec.replicatedJobs: Required value"));
  }
  SECTION("somebody else's") {
    t.say({{"there", true}, {"uid", "x"}, {"owner", "somebody"}});
    const Planned planned = t.go(seconds(10));
    CHECK(planned.problem_reason == "WorkloadNameTaken");
    t.run().desired_state = "Cancelled";
    t.go(seconds(20));
    CHECK(t.run_status().phase == "Cancelled");
    CHECK(t.deleted.empty());
  }
}

// Kinds of one group have different rights: what was let in under one name was made under the path of another.
TEST_CASE("a workload that waits is not made as another kind") {
  Engine e;
  e.say({{"there", false}, {"served", false}});
  e.go();
  e.spec().workload->resource = "podgroups";
  e.say({{"there", false}, {"served", true}});
  const Planned planned = e.go(seconds(10));
  CHECK(e.run_status().phase == "Failed");
  CHECK_THAT(e.message(), Contains("names another kind now, and JobSet " + kTrain + " was not created yet"));
}

// Whoever may create TrainingRuns and Jobs, but none of the engine's objects, gets none made.
TEST_CASE("a run makes a workload of no kind but the one that it names") {
  Engine t;
  t.spec().requested_at.reset();
  api::TrainingRun& mine = t.write_run("mine");
  SECTION("none") {
    t.go();
    CHECK(mine.status.phase == "Failed");
    CHECK(mine.status.message == "Model m trains by jobsets.jobset.x-k8s.io (spec.retraining.workload), and spec.workload of this TrainingRun names no kind; "
                                 "create another TrainingRun with spec.workload: jobsets.jobset.x-k8s.io");
  }
  SECTION("another one") {
    mine.workload = "jobsets.other.io";
    t.go();
    CHECK_THAT(mine.status.message, Contains("spec.workload of this TrainingRun is jobsets.other.io; create another TrainingRun"));
  }
  SECTION("none, and it looks like the operator's") {
    // It has the name of the operator's next run, and was there before that.
    t.runs.erase("mine");
    t.spec().requested_at = kNow;
    t.refuse = true;
    t.look();
    t.refuse = false;
    t.write_run("m-run-000001", true);
    t.go();
    CHECK_THAT(t.status().last_result, Contains("names no kind"));
  }
  SECTION("none, but its Model trained by Jobs when it began") {
    const auto workload = std::exchange(t.spec().workload, std::nullopt);
    t.spec().job_template = t.spec().validate.emplace().job_template = kPlainTemplate;
    t.go();
    REQUIRE(t.made.back() == "mine-validate");
    t.spec().workload = workload;
    t.spec().job_template.clear();
    t.end("mine-validate", report_of("{}"));
    t.go(seconds(10));
    CHECK(mine.status.phase == "Failed");
    CHECK_THAT(mine.status.message, Contains("names no kind"));
  }
  for (const auto& [name, body] : t.bodies) CHECK(body["kind"] != "JobSet");
  t.bodies.clear();
  t.write_run("named").workload = "jobsets.jobset.x-k8s.io";
  t.spec().validate.reset();
  t.go(hours(1));
  CHECK(t.bodies.count("named-train"));
}

// An upgrade had ended them, with what they ran.
TEST_CASE("a run of before, which could not name its kind, goes on") {
  Engine t;
  t.spec().trials = api::Trials{.parameters = {{"C", {"0.1", "1"}}}, .objective = {"f1"}};
  t.spec().trials->parallelism = 1;
  SECTION("somebody's, of which a trial was made") {
    t.go();
    t.say(t.there());
    t.go(seconds(10));
    t.run().workload.clear();
    t.run().changed_by = "jane";
    t.absent = kTrain + "-t1";
    t.say(t.there({{"succeeded", true}, {"result", result_of(R"({"f1": "0.95"})")}}));
    t.go(seconds(20));
    CHECK(t.bodies.count(kTrain + "-t1"));
  }
  SECTION("the operator's, of which none was made yet") {
    t.refuse = true;
    t.look();
    t.refuse = false;
    t.write_run("m-run-000001", true).changed_by = api::kOperatorAuthor;
    t.go();
    CHECK(t.bodies.count(kTrain + "-t0"));
  }
}

// They stand in the middle of commands, and come from whoever may create a TrainingRun.
TEST_CASE("a parameter that could be a command is told to no workload") {
  Engine e;
  const StageJob part{"train", kTrain, 0, {{"C", "1; curl evil"}}};
  const auto body = render_workload(e.model, api::TrainingRun{}, part, "m-v1");
  REQUIRE_FALSE(body);
  CHECK_THAT(body.error().message, StartsWith("parameter C is \"1; curl evil\""));
  e.spec().workload->result.pods = {{"app", "trainer"}};
  const auto read = read_workload(*e.spec().workload);
  REQUIRE_FALSE(read);
  CHECK_THAT(read.error().message, Contains("$(MODELOPS_NAME)"));
}

TEST_CASE("what cannot be a workload is said of the Model, and nothing starts") {
  Engine t;
  const auto problem = [&] {
    const Planned planned = t.look();
    CHECK(planned.problem_reason == "InvalidWorkload");
    CHECK(t.made.empty());
    return planned.problem;
  };
  SECTION("an expression that is none") {
    t.spec().workload->success = "self.status.phase = 'x'";
    CHECK_THAT(problem(), StartsWith("spec.retraining.workload.success: ") && Contains("at character 19"));
  }
  SECTION("no deadline") {
    t.spec().deadline.reset();
    CHECK_THAT(problem(), Contains("limits.deadline"));
  }
  SECTION("a kind of the operator's own") {
    for (const char* group : {"v1", "batch/v1", "modelops.dev/v1alpha1", "x.modelops.dev/v1", "gateway.networking.k8s.io/v1", "a.b/../v1", "/v1", "a.b/"}) {
      t.spec().workload->object = Json{{"apiVersion", group}, {"kind", "K"}}.dump();
      CHECK_THAT(problem(), Contains("must be of an engine's own API group"));
    }
  }
  SECTION("labels of the operator's") {
    t.spec().workload->object = R"({"apiVersion": "a.b/v1", "kind": "K", "metadata": {"labels": {"modelops.dev/model": "x"}}})";
    CHECK_THAT(problem(), Contains("is the operator's"));
  }
  SECTION("a resource that leads elsewhere") {
    t.spec().workload->resource = "../pods";
    CHECK_THAT(problem(), Contains("plural name"));
  }
}

}  // namespace mo::training
