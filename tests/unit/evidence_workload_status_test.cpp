// What is read of objects of kinds that the operator doesn't know.
#include <catch2/catch.hpp>

#include "operator/evidence/job_results.h"
#include "operator/evidence/workload_status.h"
#include "operator/json/json.h"

using namespace mo;
using namespace mo::evidence;
using Catch::Contains;

namespace {

AskWorkload question() {
  AskWorkload q;
  q.api_version = "jobset.x-k8s.io/v1alpha2";
  q.kind = "JobSet";
  q.resource = "jobsets";
  q.ns = "ns";
  q.name = "r-train";
  q.success = "self.status.conditions.exists(c, c.type == 'Completed' && c.status == 'True')";
  q.failure = "self.status.conditions.exists(c, c.type == 'Failed' && c.status == 'True')";
  q.result = "self.status.message";
  return q;
}

Json object(Json status) {
  return {{"metadata", {{"name", "r-train"}, {"uid", "u1"}, {"ownerReferences", {{{"uid", "other"}}, {{"uid", "run"}, {"controller", true}}}}}},
          {"spec", Json::object()},
          {"status", std::move(status)}};
}

Json words(const Json& of, const AskWorkload& q = question()) {
  const auto read = workload_status(of.dump(), q);
  INFO((read ? "" : read.error().message));
  REQUIRE(read);
  return Json::parse(*read);
}

}  // namespace

TEST_CASE("evidence: a workload says what it is, whose, and how it ends") {
  Json said = words(object({{"conditions", {{{"type", "Completed"}, {"status", "True"}, {"message", "all done"}}}}, {"message", "the result"}}));
  CHECK(said["uid"] == "u1");
  CHECK(said["owner"] == "run");
  CHECK(said["succeeded"] == true);
  CHECK(said["failed"] == false);
  CHECK(said["says"] == "Completed: all done");
  CHECK(said["result"] == "the result");
  CHECK_FALSE(said.contains("problem"));
  said = words(object({{"conditions", {{{"type", "Failed"}, {"status", "True"}, {"message", "OOM"}}}}}));
  CHECK(said["failed"] == true);
  CHECK(said["says"] == "Failed: OOM");
  CHECK_FALSE(said.contains("result"));
}

TEST_CASE("evidence: what cannot be told of a workload neither passes nor fails") {
  Json said = words(object(Json::object()));
  CHECK(said["succeeded"] == false);
  CHECK(said["failed"] == false);
  CHECK(said["problem"] == "failure: no such field: conditions (at character 13)");
  AskWorkload q = question();
  q.success = "self.frobnicate()";
  CHECK(words(object({{"conditions", Json::array()}}), q)["problem"].get<std::string>().starts_with("success: the function frobnicate()"));
  q.success = "self.status.n";
  CHECK(words(object({{"conditions", Json::array()}, {"n", 1}}), q)["succeeded"] == false);
}

TEST_CASE("evidence: a workload that succeeded without a RunResult says what is missing") {
  const Json done = object({{"conditions", {{{"type", "Completed"}, {"status", "True"}}}}});
  CHECK(words(done)["resultProblem"] == "no such field: message (at character 13)");
  AskWorkload q = question();
  q.result_pods = "a=b";
  const std::string before = *workload_status(done.dump(), q);
  CHECK(reports(before));
  CHECK(Json::parse(with_result(before, std::string("words")))["result"] == "words");
  CHECK_FALSE(Json::parse(with_result(before, std::string("words"))).contains("awaited"));
  CHECK(Json::parse(with_result(before, fail(ErrorKind::NotFound, "none yet"), true))["awaited"] == true);
  CHECK(Json::parse(with_result(before, std::string((1 << 20) + 1, 'x')))["resultProblem"] == "its RunResult is longer than 1 MiB");
}

TEST_CASE("evidence: workloads of any size and shape are read within bounds") {
  CHECK_FALSE(workload_status("{", question()));
  CHECK_FALSE(workload_status("[]", question()));
  CHECK(workload_status(std::string(3 << 20, ' '), question()).error().kind == ErrorKind::Invalid);
  Json large = object({{"conditions", Json::array()}});
  for (int i = 0; i < 5000; ++i) large["status"]["conditions"].push_back({{"type", "T"}, {"status", "True"}, {"message", std::string(100, 'x')}});
  AskWorkload q = question();
  q.success = "self.status.conditions.all(a, self.status.conditions.all(b, a != b))";
  const Json said = words(large, q);
  CHECK_THAT(said["problem"].get<std::string>(), Contains("costs too much"));
  CHECK(said.dump().size() < 2000);
}

TEST_CASE("evidence: a workload that is not there says whether its kind is") {
  const std::string list = R"({"resources": [{"name": "jobsets", "kind": "JobSet", "namespaced": true}, {"name": "jobsets/status", "kind": "JobSet"}]})";
  CHECK(Json::parse(*absent_workload(list, question())) == Json{{"there", false}, {"served", true}});
  CHECK(Json::parse(*absent_workload("", question()))["served"] == false);
  AskWorkload q = question();
  q.kind = "Jobset";
  CHECK(Json::parse(*absent_workload(list, q))["served"] == false);
  CHECK_FALSE(absent_workload("{}", q));
}

TEST_CASE("evidence: pods may report as long as one has not ended and none has reported") {
  const auto list = [](std::initializer_list<Json> pods) { return Json{{"items", Json(pods)}}.dump(); };
  const auto pod = [](const char* phase, const char* message = "") {
    return Json{{"metadata", {{"name", "p"}}},
                {"status", {{"phase", phase}, {"containerStatuses", {{{"state", {{"terminated", {{"exitCode", 0}, {"message", message}}}}}}}}}}};
  };
  const Json running = {{"metadata", {{"name", "leader"}}}, {"status", {{"phase", "Running"}}}}, pending = Json::object();
  CHECK(may_yet_report(list({running})));
  CHECK(may_yet_report(list({pending, pod("Succeeded", "bye")})));
  CHECK_FALSE(may_yet_report(list({running, pod("Succeeded", R"({"kind": "RunResult"})")})));
  CHECK_FALSE(may_yet_report(list({running, pod("Succeeded", "configmap://results/1")})));
  CHECK_FALSE(may_yet_report(list({pod("Succeeded"), pod("Failed", "bye")})));
  CHECK_FALSE(may_yet_report(list({})));
  for (const char* odd : {"", "{", "3", "[]", R"({"items": 3})", R"({"items": {"a": 1}})"}) may_yet_report(odd);
}

TEST_CASE("evidence: of pods that train side by side the one that reports counts") {
  const auto pod = [](const char* name, const char* finished, const char* message) {
    return Json{{"metadata", {{"name", name}}},
                {"status", {{"phase", "Succeeded"},
                            {"containerStatuses", {{{"state", {{"terminated", {{"exitCode", 0}, {"finishedAt", finished}, {"message", message}}}}}}}}}}};
  };
  const Json list = {{"items", {pod("leader", "2026-01-01T00:00:00Z", "{\"kind\": \"RunResult\"}"), pod("worker", "2026-01-01T00:00:09Z", "bye")}}};
  CHECK(*termination_message(list.dump(), "JobSet x") == "{\"kind\": \"RunResult\"}");
  CHECK(*termination_message(list.dump()) == "bye");
  CHECK_THAT(termination_message("{\"items\": []}", "JobSet x").error().message, Contains("JobSet x ended without a RunResult"));
}

TEST_CASE("evidence: why Kueue has not admitted a Job") {
  const auto list = [](Json conditions) { return Json{{"items", {{{"status", {{"conditions", std::move(conditions)}}}}}}}.dump(); };
  const Json pending = {{"type", "QuotaReserved"}, {"status", "False"}, {"message", "insufficient quota for cpu"}};
  CHECK(queue_reason(list({pending})) == "insufficient quota for cpu");
  CHECK(queue_reason(list({pending, {{"type", "Evicted"}, {"status", "True"}, {"message", "Preempted to accommodate x"}}})) ==
        "Preempted to accommodate x; insufficient quota for cpu");
  for (const char* odd : {"", "{}", "[]", R"({"items": []})", R"({"items": [1]})", R"({"items": [{"status": {"conditions": {"a": 1}}}]})"}) CHECK(queue_reason(odd) == "");
}
