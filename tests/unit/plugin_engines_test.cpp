// examples/engines: the Models are good, and their expressions tell how objects of these engines end, by the statuses that the engines write.
#include <catch2/catch.hpp>

#include <fstream>
#include <sstream>

#include "operator/api/parse.h"
#include "operator/evidence/workload_status.h"
#include "operator/yaml/yaml.h"
#include "plugin/lint.h"
#include "reconcilers/training/workload.h"

using namespace mo;

namespace {

std::string text_of(const std::string& file) {
  std::ifstream in(MO_SOURCE_DIR "/examples/engines/" + file);
  REQUIRE(in);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// The file's Model, as the API server would store it.
api::Model model_in(const std::string& file) {
  const auto documents = yaml::read(text_of(file));
  REQUIRE(documents);
  REQUIRE(documents->size() == 2);
  CHECK((*documents)[0].value["metadata"]["labels"] == Json{{training::kOperatorAggregation, "true"}});
  const auto model = api::parse<api::Model>((*documents)[1].value.dump());
  REQUIRE(model);
  REQUIRE(model->problem == "");
  REQUIRE((model->retraining && model->retraining->workload));
  const api::WorkloadRef ref = training::ref_of(*model->retraining->workload);
  const Json& rule = (*documents)[0].value["rules"][0];
  CHECK(rule["apiGroups"] == Json::array({ref.api_version.substr(0, ref.api_version.find('/'))}));
  CHECK(rule["resources"] == Json::array({ref.resource}));
  return *model;
}

// What the operator makes of an object of that Model with this status (YAML; empty: it has none yet): how it ends, or why that can't be told.
std::string ends(const api::TrainingWorkload& workload, const std::string& status, Json* words = nullptr) {
  Json object = *training::read_workload(workload);
  object["metadata"] = {{"name", "ranker-run-000001-train"}, {"uid", "u1"}};
  if (!status.empty()) object["status"] = yaml::read(status)->front().value;
  AskWorkload question;
  question.kind = "Engine";
  question.success = workload.success;
  question.failure = workload.failure;
  question.result = workload.result.expression;
  if (question.result.empty()) question.result_pods = "a=b";
  const Json said = Json::parse(*evidence::workload_status(object.dump(), question));
  if (words) *words = said;
  if (said.contains("problem")) return said["problem"];
  return said["failed"] == true ? "failed" : said["succeeded"] == true ? "succeeded" : "under way";
}

struct Row {
  const char *what, *status, *ends;
};

void check(const std::string& file, const std::vector<Row>& rows) {
  const api::TrainingWorkload workload = *model_in(file).retraining->workload;
  for (const Row& row : rows) {
    INFO(file << ": " << row.what);
    CHECK(ends(workload, row.status) == row.ends);
  }
  CHECK(ends(workload, "") == "under way");  // just made
}

}  // namespace

TEST_CASE("engines: the examples are without mistakes", "[engines]") {
  for (const char* file : {"jobset.yaml", "trainjob.yaml", "rayjob.yaml", "workflow.yaml"}) {
    std::istringstream in;
    const auto objects = plugin::read_files({.names = {MO_SOURCE_DIR "/examples/engines/" + std::string(file)}}, in);
    REQUIRE(objects);
    CHECK(objects->ours.size() == 1);
    for (const plugin::Complaint& complaint : plugin::lint(*objects)) FAIL_CHECK(complaint.to_string());
    const auto read = training::read_workload(*model_in(file).retraining->workload);
    if (!read) FAIL_CHECK(read.error().message);
  }
}

TEST_CASE("engines: JobSet", "[engines]") {
  check("jobset.yaml",
        {{"its Jobs run", "restarts: 0\nreplicatedJobsStatus: [{name: workers, ready: 1, succeeded: 0, failed: 0, active: 1, suspended: 0}]", "under way"},
         {"a queue holds it", "restarts: 0\nconditions: [{type: Suspended, status: 'True', reason: SuspendedJobs, message: jobset is suspended}]", "under way"},
         {"it was let go, and was restarted once",
          "restarts: 1\nrestartsCountTowardsMax: 1\nconditions: [{type: Suspended, status: 'False', reason: ResumeJobs, message: jobset is resumed},"
          " {type: StartupPolicyCompleted, status: 'True', reason: StartupPolicyCompleted, message: startup policy completed}]",
          "under way"},
         {"all Jobs completed",
          "restarts: 0\nterminalState: Completed\nconditions: [{type: Suspended, status: 'False', reason: ResumeJobs, message: jobset is resumed},"
          " {type: Completed, status: 'True', reason: AllJobsCompleted, message: jobset completed successfully}]",
          "succeeded"},
         {"restarts are used up",
          "restarts: 3\nterminalState: Failed\nconditions: [{type: Failed, status: 'True', reason: ReachedMaxRestarts, message: jobset failed due to reaching max number of restarts}]",
          "failed"}});
}

TEST_CASE("engines: TrainJob of Kubeflow Trainer", "[engines]") {
  check("trainjob.yaml",
        {{"its JobSet runs", "jobsStatus: [{name: node, ready: 1, succeeded: 0, failed: 0, active: 1, suspended: 0}]", "under way"},
         {"it is suspended", "conditions: [{type: Suspended, status: 'True', reason: Suspended, message: TrainJob is suspended}]", "under way"},
         {"it was resumed", "conditions: [{type: Suspended, status: 'False', reason: Resumed, message: TrainJob is resumed}]", "under way"},
         {"it is complete",
          "conditions: [{type: Suspended, status: 'False', reason: Resumed, message: TrainJob is resumed},"
          " {type: Complete, status: 'True', reason: AllJobsCompleted, message: jobset completed successfully}]",
          "succeeded"},
         {"a Job failed", "conditions: [{type: Failed, status: 'True', reason: FailedJobs, message: jobset failed due to one or more job failures}]", "failed"},
         {"its runtime is not known",
          "conditions: [{type: Failed, status: 'True', reason: TrainingRuntimeNotSupported, message: \"the referenced runtime is not supported\"}]", "failed"}});
}

TEST_CASE("engines: RayJob of KubeRay", "[engines]") {
  check("rayjob.yaml",
        {{"its cluster starts", "jobDeploymentStatus: Initializing\njobStatus: ''\nrayClusterName: ranker-x7k2p\nsucceeded: 0\nfailed: 0", "under way"},
         {"KubeRay leaves empty words out", "jobId: ranker-x7k2p\nsucceeded: 0\nfailed: 0", "under way"},
         {"it runs", "jobDeploymentStatus: Running\njobStatus: RUNNING\ndashboardURL: ranker-head-svc.ns.svc.cluster.local:8265", "under way"},
         {"the program is done and the submitting pod not yet", "jobDeploymentStatus: Running\njobStatus: SUCCEEDED", "under way"},
         {"it is suspended", "jobDeploymentStatus: Suspended\njobStatus: ''", "under way"},
         {"it failed once and is tried again", "jobDeploymentStatus: Retrying\njobStatus: FAILED\nfailed: 1\nreason: AppFailed", "under way"},
         {"it is complete", "jobDeploymentStatus: Complete\njobStatus: SUCCEEDED\nsucceeded: 1\nfailed: 0", "succeeded"},
         {"its program failed", "jobDeploymentStatus: Failed\njobStatus: FAILED\nreason: AppFailed\nmessage: Job entrypoint command failed with exit code 1", "failed"},
         {"it could not be submitted", "jobDeploymentStatus: Failed\njobStatus: ''\nreason: SubmissionFailed", "failed"},
         {"it took too long", "jobDeploymentStatus: Failed\njobStatus: RUNNING\nreason: DeadlineExceeded", "failed"},
         {"somebody stopped it", "jobDeploymentStatus: Complete\njobStatus: STOPPED", "failed"}});
}

TEST_CASE("engines: Workflow of Argo, with its RunResult", "[engines]") {
  const std::string outputs = "phase: Succeeded\nprogress: 2/2\noutputs: {parameters: [{name: other, value: x}, {name: result, value: 'the report'}]}";
  check("workflow.yaml", {{"it is pending", "phase: Pending", "under way"},
                          {"it was seen first", "startedAt: '2026-11-30T02:00:00Z'", "under way"},
                          {"it runs", "phase: Running\nprogress: 1/2", "under way"},
                          {"it succeeded", outputs.c_str(), "succeeded"},
                          {"a step failed", "phase: Failed\nmessage: child 'ranker-123' failed", "failed"},
                          {"the engine could not run it", "phase: Error\nmessage: pod deleted", "failed"}});
  const api::TrainingWorkload workload = *model_in("workflow.yaml").retraining->workload;
  Json words;
  ends(workload, outputs, &words);
  CHECK(words["result"] == "the report");
  ends(workload, "phase: Succeeded", &words);
  CHECK(words["resultProblem"].get<std::string>().find("no such field: outputs") != std::string::npos);
}
