#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>

#include "report/cyclonedx.h"
#include "report/servers.h"
#include "report/tables.h"
#include "tests/unit/report_make.h"

using namespace mo;
using namespace mo::report;
using namespace mo::report::test;

namespace {

struct Scene {
  Collector collector;
  Scene& add(const std::string& kind, const Json& object) {
    collector.add(kind, object);
    return *this;
  }
  Portfolio portfolio() { return std::move(collector).finish(kNow, "all namespaces"); }
};

}  // namespace

TEST_CASE("a Model's entry says what serves, since when and why", "[report]") {
  Scene s;
  s.add("Model", model()).add("ModelVersion", version("fraud-v1", "b")).add("ModelVersion", version("fraud-v2"));
  s.add("ModelRollout", rollout("r1", "", "fraud-v1", "Succeeded", "2026-11-11T00:00:00Z"));
  s.add("ModelRollout", rollout("r2", "fraud-v1", "fraud-v2", "Succeeded", "2026-11-12T06:00:00Z"));
  const Portfolio p = s.portfolio();
  const Model* m = p.model("pay", "fraud");
  REQUIRE(m);
  CHECK(m->version == "fraud-v2");
  CHECK(m->since == parse_time("2026-11-12T06:00:00Z"));
  CHECK(m->why == "the spec asked for it, ModelRollout r2");
  CHECK(m->evaluated == parse_time("2026-11-10T00:00:00Z"));
  CHECK(m->findings.empty());
  CHECK(p.model("pay", "other") == nullptr);
}

TEST_CASE("what is not known is null, and not a nought", "[report]") {
  Scene s;
  s.add("Model", {{"metadata", {{"name", "m"}, {"namespace", "n"}}}, {"spec", Json::object()}});
  const Portfolio p = s.portfolio();
  const Json row = to_json(models_table(all_of(p), p))[0];
  CHECK(row["version"].is_null());
  CHECK(row["since"].is_null());
  CHECK(row["owner"].is_null());
  CHECK(row["breaches"] == 0);
  const Delivery d = delivery_of(all_of(p), p.at);
  CHECK_FALSE(d.failure_rate);
  CHECK_FALSE(d.lead_time);
  CHECK(to_json(p)["servers"].is_null());
}

TEST_CASE("objects of any shape are read without harm", "[report]") {
  for (const char* kind : {"Model", "ModelVersion", "ModelRollout", "TrainingRun", "ModelApproval", "ModelPolicy", "Pod", "Other"})
    for (const char* text : {"null", "1", "[]", "{}", R"({"metadata":[],"spec":3,"status":"x"})",
                             R"({"metadata":{"name":{},"labels":[]},"spec":{"monitors":[1,{"name":2}],"card":{"a":1},"containers":[{"image":4}],"lineage":{"data":[null]}},
                                 "status":{"gates":[[],{"name":null}],"conditions":{},"monitors":[{}],"startedAt":"yesterday"}})"}) {
      Scene s;
      s.add(kind, Json::parse(text));
      const Portfolio p = s.portfolio();
      CHECK_NOTHROW(to_json(p).dump());
      CHECK_NOTHROW(to_cyclonedx(p, "1").dump());
    }
}

TEST_CASE("what needs attention is found", "[report]") {
  Json m = model();
  m["spec"].erase("owner");
  m["spec"]["lifecycle"] = {{"reviewBy", "2026-11-01T00:00:00Z"}, {"retireAt", "2026-12-01T00:00:00Z"}};
  m["status"]["phase"] = "Degraded";
  m["status"]["monitors"][0]["state"] = "Breached";
  m["status"]["conditions"] = {{{"type", "Compliant"}, {"status", "False"}, {"message", "gate fairness is missing"}}};
  Scene s;
  s.add("Model", m).add("ModelVersion", version("fraud-v2")).add("ModelVersion", version("fraud-v3", "c", "fraud", false));
  s.add("ModelRollout", rollout("r3", "fraud-v2", "fraud-v3", "RolledBack", "2026-11-13T00:00:00Z"));
  const Portfolio p = s.portfolio();
  const Model& found = p.models[0];
  for (const char* kind : {"no-owner", "past-review", "retires-soon", "degraded", "open-breach", "not-compliant", "never-served"}) {
    INFO(kind);
    CHECK(has(found, kind));
  }
  CHECK(found.rolled_back == 1);
  CHECK(found.never_served == 1);
  CHECK(p.findings.front().severity == Severity::High);
  CHECK(p.findings.back().severity == Severity::Low);

  struct Case {
    std::string kind, otherwise;  // otherwise: a finding that there is none of
    std::function<void(Json& model, Json& rollout)> make;
  };
  const auto waits_for = [](const std::string& reason) {
    return [reason](Json& m, Json& r) {
      m["status"]["phase"] = "Paused";
      r["status"]["phase"] = "Paused";
      if (!reason.empty()) r["status"]["approval"] = {{"reason", reason}};
    };
  };
  const std::vector<Case> cases = {
      {"awaits-approval", "paused", waits_for("AwaitingApproval")},
      {"paused", "awaits-approval", waits_for("")},
      {"paused", "awaits-approval", waits_for("AuthorUnknown")},
      {"no-data", "open-breach", [](Json& m, Json&) { m["status"]["monitors"][0]["state"] = "NoData"; }},
      {"deprecated", "retires-soon", [](Json& m, Json&) { m["status"]["lifecycle"]["stage"] = "Deprecated"; }},
      {"not-monitored", "no-data", [](Json& m, Json&) { m["spec"].erase("monitors"); }},
  };
  for (const Case& c : cases) {
    INFO(c.kind);
    Json one = model(), r = rollout("r4", "fraud-v2", "fraud-v3", "Progressing", "");
    c.make(one, r);
    Scene of_it;
    of_it.add("Model", one).add("ModelVersion", version("fraud-v2")).add("ModelRollout", r);
    const Portfolio shown = of_it.portfolio();
    CHECK(has(shown.models[0], c.kind));
    CHECK_FALSE(has(shown.models[0], c.otherwise));
    CHECK(shown.findings.size() == 1);
  }
}

TEST_CASE("of findings that are as severe, what happens now comes before what is due, and the longest due first", "[report]") {
  const auto named = [](const std::string& name, const std::string& review_by) {
    Json m = model(name);
    m["spec"]["lifecycle"] = {{"reviewBy", review_by}};
    return m;
  };
  Json paused = named("z", "2099-01-01T00:00:00Z");
  paused["status"]["phase"] = "Paused";
  Scene s;
  s.add("Model", named("a", "2026-10-01T00:00:00Z")).add("Model", named("b", "2026-09-01T00:00:00Z")).add("Model", paused);
  std::vector<std::string> order;
  for (const Finding& f : s.portfolio().findings)
    if (f.severity == Severity::Medium) order.push_back(f.model + " " + f.kind);
  CHECK(order == std::vector<std::string>{"z paused", "b past-review", "a past-review"});
}

TEST_CASE("the policies of a Model are those of its newest rollout that has any, and approvals go to the rollout's Model", "[report]") {
  const auto governed = [](const std::string& name, const std::string& started, const Json& policies, const std::string& of = "fraud") {
    Json r = rollout(name, "fraud-v1", "fraud-v2", "Progressing", "", of);
    r["status"]["startedAt"] = started;
    if (!policies.empty()) r["status"]["governance"] = {{"policies", policies}};
    return r;
  };
  const Json approval = {{"metadata", meta("a")},
                         {"spec", {{"rolloutRef", {{"name", "r2"}}}, {"role", "risk"}, {"decision", "Approved"}, {"approver", "ann"}, {"ticket", "CHG-7"}}}};
  Json elsewhere = approval;
  elsewhere["metadata"]["namespace"] = "web";
  Scene s;
  s.add("Model", model()).add("Model", model("other"));
  s.add("ModelRollout", governed("r1", "2026-11-10T00:00:00Z", {{{"name", "old"}}}));
  s.add("ModelRollout", governed("r2", "2026-11-11T00:00:00Z", {{{"name", "high"}, {"generation", 2}}, {{"name", "eu"}}}));
  s.add("ModelRollout", governed("r3", "2026-11-12T00:00:00Z", {}));
  s.add("ModelRollout", governed("r4", "2026-11-12T00:00:00Z", {}, "other"));
  s.add("ModelApproval", approval).add("ModelApproval", elsewhere);
  const Portfolio p = s.portfolio();
  const Json rows = to_json(compliance_table(all_of(p)));
  CHECK(rows[0]["policies"] == "high, eu");
  CHECK(rows[1]["policies"] == "");
  REQUIRE(p.models[0].approvals.size() == 1);
  CHECK(p.models[0].approvals[0].ticket == "CHG-7");
  CHECK(p.models[1].approvals.empty());
}

TEST_CASE("a retired Model needs nobody's attention", "[report]") {
  Json m = model();
  m["spec"].erase("owner");
  m["status"]["lifecycle"]["stage"] = "Retired";
  Scene s;
  s.add("Model", m);
  CHECK(s.portfolio().findings.empty());
}

TEST_CASE("the same artifact under two Models is told of both, and only to who may see both", "[report]") {
  Json other = version("copy-v1", "a", "copy");
  other["metadata"]["namespace"] = "web";
  Json copy = model("copy", "web");
  copy["status"]["stableVersion"] = "copy-v1";
  Scene s;
  s.add("Model", model()).add("Model", copy).add("ModelVersion", version("fraud-v2")).add("ModelVersion", other);
  const Portfolio p = s.portfolio();
  CHECK(has(*p.model("pay", "fraud"), "duplicate"));
  CHECK(has(*p.model("web", "copy"), "duplicate"));
  const Portfolio part = only(p, {"pay"});
  REQUIRE(part.models.size() == 1);
  CHECK(part.findings.empty());
  CHECK(to_json(part).dump().find("web") == std::string::npos);
}

TEST_CASE("model servers that no Model knows are found by image and label", "[report]") {
  const auto product = [](const Json& p) {
    const auto seen = model_server(p);
    return seen ? seen->product : std::string();
  };
  CHECK(product(pod("a", "nvcr.io/nvidia/tritonserver:24.05-py3")) == "Triton");
  CHECK(product(pod("a", "docker.io/seldonio/mlserver:1.3")) == "Seldon");
  CHECK(product(pod("a", "vllm/vllm-openai@sha256:00")) == "vLLM");
  CHECK(product(pod("a", "any:1", {{"serving.kserve.io/inferenceservice", "x"}})) == "KServe");
  CHECK(product(pod("a", "registry.local:5000/model-server:dev")) == "model-server");
  CHECK(product(pod("a", "mlserver.example.com/web:1")) == "");  // the registry's name says nothing
  CHECK(product(pod("a", "nginx:1")) == "");
  Json done = pod("a", "vllm/vllm-openai");
  done["status"]["phase"] = "Succeeded";
  CHECK(product(done) == "");

  Scene s;
  s.add("Model", model());
  s.add("Pod", pod("fraud-x", "model-server:1", {{"modelops.dev/model", "fraud"}}));
  s.add("Pod", pod("hidden", "vllm/vllm-openai:1", {{"modelops.dev/model", "not-there"}}));
  for (const char* name : {"triton-6b-1", "triton-6b-2"}) {
    Json p = pod(name, "tritonserver:1", {{"pod-template-hash", "6b"}});
    p["metadata"]["ownerReferences"] = {{{"controller", true}, {"kind", "ReplicaSet"}, {"name", "triton-6b"}}};
    s.add("Pod", p);
  }
  s.collector.pods_were_read();
  const Portfolio p = s.portfolio();
  REQUIRE(p.servers.size() == 2);
  CHECK(p.servers[0].name == "triton");
  CHECK(p.servers[0].kind == "Deployment");
  CHECK(p.servers[0].pods == 2);
  CHECK(p.servers[1].name == "hidden");
}

TEST_CASE("a Deployment that a Model is about to take the place of is known", "[report]") {
  Json m = model();
  m["spec"]["serving"] = {{"adopt", {{"name", "old"}}}};
  Json p = pod("old-6b-1", "tritonserver:1", {{"pod-template-hash", "6b"}});
  p["metadata"]["ownerReferences"] = {{{"controller", true}, {"kind", "ReplicaSet"}, {"name", "old-6b"}}};
  Scene s;
  s.add("Model", m).add("Pod", p);
  CHECK(s.portfolio().servers.empty());
}

TEST_CASE("the four figures of delivery", "[report]") {
  Scene s;
  s.add("Model", model()).add("ModelVersion", version("v1")).add("ModelVersion", version("v2")).add("ModelVersion", version("v3"));
  s.add("ModelRollout", rollout("r1", "", "v1", "Succeeded", "2026-11-11T00:00:00Z"));
  s.add("ModelRollout", rollout("r2", "v1", "v2", "Succeeded", "2026-11-12T00:00:00Z"));
  s.add("ModelRollout", rollout("r3", "v2", "v1", "Succeeded", "2026-11-12T02:00:00Z"));  // back again
  Json bad = rollout("r4", "v1", "v3", "RolledBack", "2026-11-13T01:00:00Z");
  bad["status"]["ending"] = {{"at", "2026-11-13T00:00:00Z"}};
  s.add("ModelRollout", bad);
  s.add("ModelRollout", rollout("r5", "v1", "v3", "Aborted", "2026-11-14T00:00:00Z"));
  s.add("ModelRollout", rollout("r6", "v1", "v3", "Progressing", ""));
  s.add("ModelRollout", rollout("old", "", "v0", "Succeeded", "2026-01-01T00:00:00Z"));
  const Portfolio p = s.portfolio();
  const Delivery d = delivery_of(all_of(p), p.at);
  CHECK(d.deployments == 2);
  CHECK(d.failures == 2);
  CHECK(d.pending == 1);
  CHECK(*d.failure_rate == Approx(2.0 / 3));
  CHECK(*d.lead_time == std::chrono::hours(48));
  CHECK(d.restores == 2);
  CHECK(*d.restore == std::chrono::hours(2));
  const auto weeks = weeks_of(all_of(p), p.at);
  CHECK(weeks.size() == 13);
  CHECK(weeks[11].succeeded == 3);
  CHECK(weeks[11].failed == 1);
  CHECK(weeks[11].stopped == 1);
}

TEST_CASE("CSV is quoted, and no cell is a formula", "[report]") {
  Table t{"t", "T", "", {{"a", "A", ""}, {"b", "B", ""}}, {{plain("x,\"y\"\nz"), plain("=HYPERLINK(\"evil\")")}, {count(3), cell("")}}, ""};
  CHECK(to_csv(t) == "a,b\r\n\"x,\"\"y\"\" z\",\"'=HYPERLINK(\"\"evil\"\")\"\r\n3,\r\n");
}

TEST_CASE("the ML-BOM has each Model with its digest and card", "[report]") {
  Scene s;
  s.add("Model", model()).add("ModelVersion", version("fraud-v2"));
  const Json bom = to_cyclonedx(s.portfolio(), "1.0");
  CHECK(bom["specVersion"] == "1.6");
  const Json& one = bom["components"][0];
  CHECK(one["type"] == "machine-learning-model");
  CHECK(one["hashes"][0]["content"] == std::string(64, 'a'));
  CHECK(one["modelCard"]["considerations"]["useCases"][0] == "Card payments");
  CHECK(one["modelCard"]["quantitativeAnalysis"]["performanceMetrics"][0]["value"] == "0.95");
  CHECK(one["modelCard"]["modelParameters"]["datasets"][0]["name"] == "payments-2026");
  CHECK_FALSE(one.contains("components"));
}

TEST_CASE("parts are components of their Model, and the same base with another adapter is no duplicate", "[report]") {
  Scene s;
  for (const char* name : {"fraud", "claims"}) {
    Json v = version(std::string(name) + "-v2", "a", name);
    v["spec"]["parts"] = {{{"name", "lora"}, {"artifact", {{"uri", "s3://x/y"}, {"digest", "sha256:" + std::string(64, name[0])}}}}};
    Json m = model(name);
    m["status"]["stableVersion"] = std::string(name) + "-v2";
    m["status"]["stableDigest"] = "sha256:of-all-of-" + std::string(name);
    s.add("Model", m).add("ModelVersion", v);
  }
  const Portfolio p = s.portfolio();
  for (const Model& m : p.models) CHECK_FALSE(has(m, "duplicate"));
  const Json bom = to_cyclonedx(p, "1.0");
  const Json& part = bom["components"][0]["components"][0];
  CHECK(part["name"] == "lora");
  CHECK(part["hashes"][0]["content"] == std::string(64, 'c'));
}
