#include <catch2/catch.hpp>

#include "operator/api/parse.h"

using namespace mo;
using namespace mo::api;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr const char* kModel = R"json({
  "apiVersion": "modelops.dev/v1alpha1", "kind": "Model",
  "metadata": {"name": "fraud", "namespace": "payments", "uid": "8d0d5a3c", "resourceVersion": "1042", "generation": 3,
    "creationTimestamp": "2026-11-20T08:00:00Z",
    "managedFields": [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {"f:version": {}}}}]},
  "spec": {
    "class": "MachineLearning", "description": "Scores \"card\" payments", "owner": {"team": "payments-ml"}, "riskTier": "high",
    "track": "Pinned", "version": "fraud-v2",
    "serving": {"runtime": {"name": "sklearn"}, "replicas": 3, "template": {"spec": {"priorityClassName": "x", "containers": []}, "metadata": {}}},
    "rollout": {
      "strategy": "Canary",
      "steps": [{"weight": 10}, {"pause": {"duration": "5m"}}, {"pause": {}}, {"gates": ["accuracy", "recorded"]}],
      "gates": [
        {"name": "accuracy", "prometheus": {"query": "model_accuracy{version=\"{{candidate}}\"}"}, "min": "0.92",
         "versusStable": {"query": "q", "maxRegression": "0.005", "samplesQuery": "m", "confidence": "0.95"},
         "samples": {"query": "n", "min": 200},
         "interval": "10s", "count": 3, "failureLimit": 1, "onInconclusive": "Wait"},
        {"name": "recorded", "version": {"metric": "f1"}, "min": "0.9", "max": "1"}],
      "onFailure": "Pause", "progressDeadlineSeconds": 90},
    "retraining": {
      "triggers": [
        {"name": "nightly", "schedule": {"cron": "0 2 * * *", "timeZone": "Europe/Berlin"}},
        {"name": "data", "dataset": {"configMapKeyRef": {"name": "fraud-data", "key": "digest"}}}],
      "requestedAt": "2026-11-22T09:00:00Z",
      "limits": {"cooldown": "1h", "maxPerDay": 24, "concurrency": "Forbid"},
      "template": {"spec": {"backoffLimit": 0}}, "gates": ["recorded"], "onSuccess": "Register"}},
  "status": {
    "observedGeneration": 3, "phase": "Progressing", "message": "m",
    "conditions": [{"type": "Ready", "status": "False", "reason": "RolloutInProgress", "message": "",
                    "lastTransitionTime": "2026-11-22T08:00:00Z", "observedGeneration": 3}],
    "stableVersion": "fraud-v1", "candidateVersion": "fraud-v2", "rollout": "fraud-r1",
    "traffic": [{"version": "fraud-v1", "weight": 90}, {"version": "fraud-v2", "weight": 10}],
    "spec": {"version": "fraud-v2", "revision": "abc", "generation": 3},
    "intent": {"version": "fraud-v2", "origin": "Spec", "rollout": "fraud-r1"},
    "retraining": {"lastTrigger": "nightly", "nextScheduled": "2026-11-23T01:00:00Z", "runsToday": 2, "day": "2026-11-22", "runNumber": 7,
      "run": {"number": 7, "name": "fraud-retrain-000007", "trigger": "data", "startedAt": "2026-11-22T08:00:00Z", "jobUID": "u"},
      "datasets": [{"trigger": "data", "digest": "d1"}]}}
})json";

Model model_with_spec(const std::string& spec) {
  const auto model = parse<Model>(R"({"metadata":{"name":"m"},"spec":)" + spec + "}");
  INFO(spec);
  REQUIRE(model);
  return *model;
}

std::string problem(const std::string& spec) { return model_with_spec(spec).problem; }

// A story: a status with an empty run made the planner ask for a Job without a name.
TEST_CASE("a retraining run without a name is none") {
  const auto model = parse<Model>(
      R"({"metadata":{"name":"m","namespace":"n"},"status":{"retraining":{"runNumber":4,"run":{"number":4}}}})");
  REQUIRE(model);
  CHECK(model->status.retraining.run_number == 4);
  CHECK_FALSE(model->status.retraining.run);
}

}  // namespace

TEST_CASE("a Model's metadata and spec", "[api]") {
  const auto parsed = parse<Model>(kModel);
  REQUIRE(parsed);
  const Model& m = *parsed;
  CHECK(m.problem.empty());
  CHECK(m.meta.key == ObjectKey{"payments", "fraud"});
  CHECK(m.meta.uid == "8d0d5a3c");
  CHECK(m.meta.resource_version == "1042");
  CHECK(m.meta.generation == 3);
  CHECK(m.meta.created == *parse_time("2026-11-20T08:00:00Z"));
  CHECK_FALSE(m.meta.deleting);
  CHECK(m.track == "Pinned");
  CHECK(m.version == "fraud-v2");
  CHECK_FALSE(m.artifact);
  CHECK(m.runtime == "sklearn");
  CHECK(m.replicas == 3);
  CHECK(m.template_overlay == R"({"metadata":{},"spec":{"containers":[],"priorityClassName":"x"}})");
}

TEST_CASE("an autoscaled Model has replicas within its bounds", "[api]") {
  const auto replicas = [](const char* wanted) {
    const Model m = model_with_spec(R"({"serving":{)" + std::string(wanted) +
                                    R"("autoscaling":{"minReplicas":2,"maxReplicas":4,"metrics":[{"type":"Pods"}],"behavior":{"a":1}}}})");
    REQUIRE(m.autoscaling);
    CHECK(m.autoscaling->metrics == R"([{"type":"Pods"}])");
    CHECK(m.autoscaling->behavior == R"({"a":1})");
    return m.replicas;
  };
  CHECK(replicas("") == 2);
  CHECK(replicas(R"("replicas":3,)") == 3);
  CHECK(replicas(R"("replicas":9,)") == 4);
  CHECK(replicas(R"("replicas":0,)") == 0);
}

TEST_CASE("the ConfigMaps of a Model's template", "[api]") {
  const Model m = model_with_spec(
      R"({"serving":{"maxSurge":0,"pinConfig":false,"ociArtifacts":"ImageVolume","template":{"spec":{"volumes":[{"configMap":{"name":"b"}},{"configMap":{"name":"a"}}]}}}})");
  CHECK(m.configmaps == std::vector<std::string>{"a", "b"});
  CHECK(m.max_surge == 0);
  CHECK_FALSE(m.pin_config);
  CHECK(m.image_volumes == true);
  CHECK_FALSE(model_with_spec("{}").image_volumes);
  CHECK(model_with_spec(R"({"serving":{"ociArtifacts":"Fetch"}})").image_volumes == false);
}

TEST_CASE("a Model's rollout policy", "[api]") {
  const RolloutPolicy p = parse<Model>(kModel)->rollout;
  REQUIRE(p.steps.size() == 4);
  CHECK(p.steps[0].weight == 10);
  CHECK_FALSE(p.steps[0].pause);
  CHECK(p.steps[1].pause->duration == seconds(300));
  REQUIRE(p.steps[2].pause);
  CHECK_FALSE(p.steps[2].pause->duration);
  CHECK(p.steps[3].gates == std::vector<std::string>{"accuracy", "recorded"});
  CHECK(p.on_failure == RolloutPolicy::OnFailure::Pause);
  CHECK(p.progress_deadline == seconds(90));
  const Gate* accuracy = p.gate("accuracy");
  REQUIRE(accuracy);
  CHECK(accuracy->prometheus_query == R"(model_accuracy{version="{{candidate}}"})");
  CHECK(accuracy->min == Decimal::parse("0.92"));
  CHECK_FALSE(accuracy->max);
  CHECK(accuracy->versus_stable->query == "q");
  CHECK(accuracy->versus_stable->max_regression == *Decimal::parse("0.005"));
  CHECK(accuracy->versus_stable->samples_query == "m");
  CHECK(accuracy->versus_stable->confidence == Decimal::parse("0.95"));
  CHECK(accuracy->samples->min == 200);
  CHECK(accuracy->interval == seconds(10));
  CHECK(accuracy->count == 3);
  CHECK(accuracy->failure_limit == 1);
  CHECK(accuracy->on_inconclusive == Gate::OnInconclusive::Wait);
  REQUIRE(p.gate("recorded"));
  CHECK(p.gate("recorded")->version_metric == "f1");
  CHECK(p.gate("recorded")->count == 1);
  CHECK(p.gate("other") == nullptr);
  CHECK(p.raw.rfind(
            R"({"gates":[{"count":3,"failureLimit":1,"interval":"10s","min":"0.92","name":"accuracy")", 0) ==
        0);
}

TEST_CASE("a Model's retraining", "[api]") {
  const auto model = parse<Model>(kModel);
  REQUIRE(model);
  REQUIRE(model->retraining);
  const Retraining& r = *model->retraining;
  REQUIRE(r.triggers.size() == 2);
  CHECK(r.triggers[0].schedule->cron == "0 2 * * *");
  CHECK(r.triggers[0].schedule->time_zone == "Europe/Berlin");
  CHECK_FALSE(r.triggers[0].dataset);
  CHECK(r.triggers[1].dataset->name == "fraud-data");
  CHECK(r.triggers[1].dataset->key == "digest");
  CHECK(r.requested_at == parse_time("2026-11-22T09:00:00Z"));
  CHECK(r.cooldown == seconds(3600));
  CHECK(r.max_per_day == 24);
  CHECK(r.job_template == R"({"spec":{"backoffLimit":0}})");
  CHECK(r.gates == std::vector<std::string>{"recorded"});
  CHECK(r.on_success == Retraining::OnSuccess::Register);
}

TEST_CASE("a Model's status", "[api]") {
  const ModelStatus s = parse<Model>(kModel)->status;
  CHECK(s.observed_generation == 3);
  REQUIRE(s.conditions.size() == 1);
  CHECK(s.conditions[0].reason == "RolloutInProgress");
  CHECK(s.conditions[0].last_transition == *parse_time("2026-11-22T08:00:00Z"));
  CHECK(s.traffic == std::vector<TrafficShare>{{"fraud-v1", 90}, {"fraud-v2", 10}});
  CHECK(s.spec_revision == "abc");
  CHECK(s.intent.rollout == "fraud-r1");
  CHECK(s.intent.outcome.empty());
  CHECK(s.retraining.runs_today == 2);
  CHECK(s.retraining.run->job_uid == "u");
  CHECK_FALSE(s.retraining.last_finished);
  CHECK(s.retraining.datasets == std::map<std::string, std::string>{{"data", "d1"}});
  CHECK(s.raw.rfind(R"({"candidateVersion":"fraud-v2","conditions":[{"lastTransitionTime")", 0) == 0);
  CHECK(s.raw.find(": ") == std::string::npos);
  CHECK(parse<Model>(R"({"metadata":{"name":"m"},"status":null})")->status.raw == "{}");
}

TEST_CASE("what a person wrote and nobody can read is named", "[api]") {
  CHECK(problem(R"({"rollout":{"gates":[{"name":"a","min":"0.9"},{"name":"b","min":"high"}]}})") ==
        R"(spec.rollout.gates[1].min: "high" is not a decimal number)");
  CHECK(problem(R"({"rollout":{"steps":[{"pause":{"duration":"5 minutes"}}]}})") ==
        R"(spec.rollout.steps[0].pause.duration: "5 minutes" is not a duration such as 90s or 1h30m)");
  CHECK(problem(R"({"retraining":{"requestedAt":"now"}})") ==
        R"(spec.retraining.requestedAt: "now" is not a time such as 2026-11-22T09:00:00Z)");
  // Cut at 80 bytes, between characters: status holds it.
  std::string accents;
  for (int i = 0; i < 50; ++i) accents += "\u00e9";
  CHECK(problem(R"({"retraining":{"requestedAt":"x)" + accents + R"("}})") ==
        "spec.retraining.requestedAt: \"x" + accents.substr(0, 78) + "\u2026\" is not a time such as 2026-11-22T09:00:00Z");
  CHECK(problem(R"({"serving":{"replicas":"3"}})") == "spec.serving.replicas: is not a whole number");
  CHECK(problem(R"({"serving":{"replicas":99999999999}})") ==
        "spec.serving.replicas: 99999999999 is out of range");
  CHECK(problem(R"({"serving":{"replicas":99999999999999999999999999}})") ==
        "spec.serving.replicas: is not a whole number");
  CHECK(problem(R"({"serving":{"replicas":1.5}})") == "spec.serving.replicas: is not a whole number");
  CHECK(problem(R"({"rollout":{"onFailure":"Explode"}})") ==
        R"(spec.rollout.onFailure: "Explode" is not one of Rollback, Pause)");
  CHECK(problem(R"({"rollout":[]})") == "spec.rollout: is not an object");
  CHECK(problem(R"({"rollout":{"gates":{}}})") == "spec.rollout.gates: is not a list");
  CHECK(problem(R"({"version":7})") == "spec.version: is not a text");
  CHECK(problem("[]") == "spec: is not an object");
  // Null is as good as absent, and status is nobody's writing.
  CHECK(problem(R"({"version":null,"rollout":null,"serving":{"replicas":null},"retraining":null})").empty());
  CHECK(parse<Model>(R"({"metadata":{"name":"m"},"status":{"observedGeneration":"x","traffic":7}})")
            ->problem.empty());
}

TEST_CASE("one bad field does not hide the others", "[api]") {
  const Model m = model_with_spec(
      R"({"version":7,"serving":{"replicas":[1,{"a":2}],"runtime":{"name":"r"}},"track":"Promoted"})");
  CHECK(m.replicas == 1);
  CHECK(m.runtime == "r");
  CHECK(m.track == "Promoted");
}

TEST_CASE("a ModelVersion", "[api]") {
  const auto v = parse<ModelVersion>(
      R"({"metadata":{"name":"fraud-v2","namespace":"p","deletionTimestamp":"2026-11-22T09:00:00Z",
    "ownerReferences":[{"uid":"x"},{"uid":"y","controller":true}]},
    "spec":{"modelRef":{"name":"fraud"},"artifact":{"uri":"configmap://a/b","digest":"sha256:00","format":{"name":"rules","version":"1"}},
      "lineage":{"parent":"fraud-v1","data":[{"rows":120000}],"run":{"parameters":{"C":"0.1"}}},"metrics":{"accuracy":"0.947","f1":"0.93"}},
    "status":{"phase":"Serving","message":"x","conditions":[]}})");
  REQUIRE(v);
  CHECK(v->meta.deleting);
  CHECK(v->meta.controller_uid == "y");
  CHECK(v->model == "fraud");
  CHECK(v->artifact == Artifact{"configmap://a/b", "sha256:00", {"rules", "1"}});
  CHECK(v->metrics.at("f1") == "0.93");
  CHECK(v->parent == "fraud-v1");
  CHECK(v->phase == "Serving");
  CHECK(v->status_raw == R"({"conditions":[],"message":"x","phase":"Serving"})");
}

TEST_CASE("a ModelRollout", "[api]") {
  const auto r = parse<ModelRollout>(
      R"({"metadata":{"name":"r1","namespace":"p","labels":{"modelops.dev/origin":"spec"}},
    "spec":{"modelRef":{"name":"fraud"},"version":"fraud-v2","desiredState":"Paused"},
    "status":{"observedGeneration":2,"phase":"Paused","fromVersion":"fraud-v1","step":{"index":2,"count":5,"description":"pause 5m"},
      "weights":{"stable":90,"candidate":10},
      "gates":[{"name":"accuracy","verdict":"Passed","value":"0.951","passed":2,"measurements":[{"at":"2026-11-22T09:00:00Z","value":"0.951","verdict":"Passed"}]}],
      "startedAt":"2026-11-22T08:00:00Z","pausedAt":"2026-11-22T09:00:00Z","pauseReason":"Requested","stepGeneration":2,
      "policy":{"steps":[{"weight":10}],"gates":[]},
      "ending":{"phase":"Aborted","reason":"Aborted","message":"m","at":"2026-11-22T09:00:00Z"}}})");
  REQUIRE(r);
  CHECK(r->model == "fraud");
  CHECK(r->version == "fraud-v2");
  CHECK(r->desired_state == "Paused");
  CHECK(r->origin == "spec");
  CHECK(r->problem.empty());
  CHECK(r->status.step_index == 2);
  CHECK(r->status.step_count == 5);
  CHECK(r->status.stable_weight == 90);
  CHECK(r->status.candidate_weight == 10);
  REQUIRE(r->status.gates.size() == 1);
  CHECK(r->status.gates[0].measurements.at(0).value == "0.951");
  CHECK(r->status.started == parse_time("2026-11-22T08:00:00Z"));
  CHECK_FALSE(r->status.finished);
  CHECK(r->status.policy->steps.at(0).weight == 10);
  CHECK(r->status.policy->raw == R"({"gates":[],"steps":[{"weight":10}]})");
  CHECK(r->status.ending->phase == "Aborted");
}

// The snapshot's schema is open. A bound in it that somebody spoilt must not become no bound.
TEST_CASE("a spoilt snapshot of the policy is named", "[api]") {
  const auto r = parse<ModelRollout>(
      R"({"metadata":{"name":"r"},"status":{"message":7,"policy":{"gates":[{"name":"a","min":0.9}]}}})");
  REQUIRE(r);
  CHECK(r->problem == "status.policy.gates[0].min: is not a text");
}

TEST_CASE("a ModelRuntime", "[api]") {
  const auto r = parse<ModelRuntime>(
      R"({"metadata":{"name":"rules"},"spec":{"formats":[{"name":"rules","version":"1"}],"priority":10,"port":9000,
    "metrics":{"port":9001,"path":"/m"},"protocol":"v2","ociArtifacts":"ImageVolume","template":{"spec":{"containers":[{"name":"server","image":"x"}]}}}})");
  REQUIRE(r);
  CHECK(r->meta.key == ObjectKey{"", "rules"});
  CHECK(r->formats == std::vector<Format>{{"rules", "1"}});
  CHECK(r->priority == 10);
  CHECK(r->port == 9000);
  CHECK(r->metrics_port == 9001);
  CHECK(r->metrics_path == "/m");
  CHECK(r->image_volumes);
  CHECK(r->pod_template == R"({"spec":{"containers":[{"image":"x","name":"server"}]}})");
}

TEST_CASE("gate sets, and a Model that names them", "[api]") {
  const char* const text =
      R"({"metadata":{"name":"shared","namespace":"pay"},"spec":{"description":"d","gates":[{"version":{"metric":"f1"},"name":"recorded","min":"0.9"}]}})";
  const auto set = parse<ModelGateSet>(text);
  REQUIRE(set);
  CHECK(set->meta.key == ObjectKey{"pay", "shared"});
  REQUIRE(set->gate("recorded"));
  CHECK(set->gate("recorded")->version_metric == "f1");
  CHECK_FALSE(set->gate("other"));
  CHECK(set->raw == R"({"description":"d","gates":[{"min":"0.9","name":"recorded","version":{"metric":"f1"}}]})");
  CHECK(set->problem == "");
  const auto spoilt = parse<ClusterModelGateSet>(R"({"metadata":{"name":"org"},"spec":{"gates":[{"name":"a","max":7}]}})");
  REQUIRE(spoilt);
  CHECK(spoilt->problem == "spec.gates[0].max: is not a text");

  const auto m = parse<Model>(
      R"({"metadata":{"name":"m","namespace":"pay"},"spec":{"rollout":{"gateSets":[{"name":"shared"},{"name":"org","kind":"ClusterModelGateSet"}]}}})");
  REQUIRE(m);
  REQUIRE(m->rollout.gate_sets.size() == 2);
  CHECK(m->rollout.gate_sets[0].from("pay") == ObjectRef{Kind::ModelGateSet, {"pay", "shared"}});
  CHECK(m->rollout.gate_sets[1].from("pay") == ObjectRef{Kind::ClusterModelGateSet, {"", "org"}});

  const auto watching = parse<ClusterModelGateSet>(
      R"({"metadata":{"name":"org"},"spec":{"monitors":[{"name":"drift","prometheus":{"query":"q"},"max":"1","actions":["Hold"],"required":true}]}})");
  REQUIRE(watching);
  REQUIRE(watching->monitors.size() == 1);
  CHECK((watching->monitors[0].figure.name == "drift" && watching->monitors[0].hold && watching->monitors[0].required));
  const auto watched = parse<Model>(R"({"metadata":{"name":"m","namespace":"pay"},"spec":{"monitorSets":[{"name":"org","kind":"ClusterModelGateSet"}]}})");
  REQUIRE(watched);
  REQUIRE(watched->monitor_sets.size() == 1);
  CHECK(watched->monitor_sets[0].from("pay") == ObjectRef{Kind::ClusterModelGateSet, {"", "org"}});
}
