#include <catch2/catch.hpp>

#include "operator/api/parse.h"

using namespace mo;
using namespace mo::api;

namespace {

// As the API server sends it, less what is long and beside the point.
std::string deployment(const std::string& replicas, const std::string& image, const std::string& managers) {
  return R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"fraud-v2","namespace":"payments","uid":"d-1","resourceVersion":"77",)"
         R"("generation":2,"labels":{"app.kubernetes.io/managed-by":"model-operator","modelops.dev/model":"fraud","modelops.dev/version":"fraud-v2"},)"
         R"("annotations":{"deployment.kubernetes.io/revision":"1","modelops.dev/applied":"0123456789abcdef"},)"
         R"("ownerReferences":[{"apiVersion":"modelops.dev/v1alpha1","kind":"Model","name":"fraud","uid":"m-1","controller":true}],)"
         R"("managedFields":[)" +
         managers + R"(]},"spec":{"replicas":)" + replicas +
         R"(,"selector":{"matchLabels":{"a":"b"}},"template":{"spec":{"containers":[{"name":"server","image":")" +
         image +
         R"("}]}},"progressDeadlineSeconds":600},"status":{"observedGeneration":2,"replicas":3,"updatedReplicas":3,"readyReplicas":1,)"
         R"("availableReplicas":1,"unavailableReplicas":2,"conditions":[)"
         R"({"type":"Available","status":"False","reason":"MinimumReplicasUnavailable","message":"x"},)"
         R"({"type":"Progressing","status":"False","reason":"ProgressDeadlineExceeded","message":"y"},)"
         R"({"type":"ReplicaFailure","status":"True","reason":"FailedCreate","message":"exceeded quota: small"}]}})";
}

bool foreign(const char* managers) {
  return parse<Deployment>(deployment("3", "a", managers))->foreign_spec_manager;
}

Pod pod(const std::string& status) {
  const auto parsed = parse<Pod>(
      R"({"metadata":{"name":"p","labels":{"modelops.dev/model":"fraud","modelops.dev/version":"fraud-v2"}},"status":)" +
      status + "}");
  INFO(status);
  REQUIRE(parsed);
  return *parsed;
}

std::string problem(const std::string& status) { return pod(status).problem; }

}  // namespace

TEST_CASE("a Deployment", "[api]") {
  const auto d = parse<Deployment>(deployment("3", "a", ""));
  REQUIRE(d);
  CHECK(d->model == "fraud");
  CHECK(d->version == "fraud-v2");
  CHECK(d->meta.controller_uid == "m-1");
  CHECK(d->applied_hash == "0123456789abcdef");
  CHECK(d->replicas == 3);
  CHECK(d->observed_generation == 2);
  CHECK(d->status_replicas == 3);
  CHECK(d->updated_replicas == 3);
  CHECK(d->ready_replicas == 1);
  CHECK(d->available_replicas == 1);
  CHECK(d->progressing_reason == "ProgressDeadlineExceeded");
  CHECK(d->replica_failure == "exceeded quota: small");
  CHECK_FALSE(d->foreign_spec_manager);
}

TEST_CASE("a Deployment's hash is of its spec but for the replicas", "[api]") {
  const std::string hash = parse<Deployment>(deployment("3", "a", ""))->spec_hash;
  CHECK(hash.size() == 16);
  CHECK(parse<Deployment>(deployment("5", "a", R"({"manager":"x"})"))->spec_hash == hash);
  CHECK(parse<Deployment>(deployment("3", "b", ""))->spec_hash != hash);
}

TEST_CASE("who else owns a part of spec", "[api]") {
  CHECK_FALSE(
      foreign(R"({"manager":"model-operator","operation":"Apply","fieldsV1":{"f:spec":{"f:template":{}}}})"));
  CHECK(foreign(
      R"({"manager":"kubectl-edit","operation":"Update","fieldsV1":{"f:spec":{"f:template":{"f:spec":{}}}}})"));
  CHECK(foreign(R"({"fieldsV1":{"f:spec":{"f:paused":{}}}})"));
  CHECK_FALSE(foreign(
      R"({"manager":"kube-controller-manager","operation":"Update","subresource":"status","fieldsV1":{"f:status":{}}})"));
  CHECK_FALSE(foreign(
      R"({"manager":"kubectl","operation":"Update","subresource":"scale","fieldsV1":{"f:spec":{"f:replicas":{}}}})"));
  CHECK_FALSE(
      foreign(R"({"manager":"kubectl-patch","operation":"Update","fieldsV1":{"f:spec":{"f:replicas":{}}}})"));
  CHECK_FALSE(foreign(
      R"({"manager":"x","fieldsV1":{"f:metadata":{"f:labels":{}}}},{"manager":"y","fieldsV1":null},7)"));
}

TEST_CASE("a Service", "[api]") {
  const auto service = [](const char* spec) {
    return *parse<Service>(
        std::string(
            R"({"metadata":{"name":"fraud","labels":{"modelops.dev/model":"fraud"},"annotations":{"modelops.dev/applied":"h"}},"spec":)") +
        spec + R"(,"status":{"loadBalancer":{}}})");
  };
  const Service s = service(
      R"({"clusterIP":"10.0.0.1","ports":[{"port":80}],"selector":{"a":"1","b":"2"},"type":"ClusterIP"})");
  CHECK(s.model == "fraud");
  CHECK(s.applied_hash == "h");
  CHECK(s.selector == std::map<std::string, std::string>{{"a", "1"}, {"b", "2"}});
  CHECK(
      s.spec_hash !=
      service(
          R"({"clusterIP":"10.0.0.1","ports":[{"port":81}],"selector":{"a":"1","b":"2"},"type":"ClusterIP"})")
          .spec_hash);
}

TEST_CASE("an EndpointSlice: its ready pods", "[api]") {
  const auto slice = parse<EndpointSlice>(
      R"({"metadata":{"name":"m-x7k","namespace":"n","labels":{"modelops.dev/model":"m","kubernetes.io/service-name":"m-candidate"}},"endpoints":[
        {"conditions":{"ready":true,"serving":true,"terminating":false},"targetRef":{"kind":"Pod","name":"a"}},
        {"conditions":{"ready":false},"targetRef":{"kind":"Pod","name":"b"}},
        {"conditions":{},"targetRef":{"kind":"Pod","name":"c"}},
        {"targetRef":{"kind":"Node","name":"d"}}, {"conditions":{"ready":true}}],"ports":[]})");
  REQUIRE(slice);
  CHECK(slice->model == "m");
  CHECK(slice->service == "m-candidate");
  CHECK(slice->pods == std::vector<std::string>{"a", "c"});
  CHECK(parse<EndpointSlice>(R"({"metadata":{"name":"m-x7k"},"endpoints":null})")->pods.empty());
}

TEST_CASE("an HTTPRoute: its last rule is everybody's", "[api]") {
  const auto route = [](const std::string& rules) {
    const auto read = parse<HttpRoute>(R"({"metadata":{"name":"m","namespace":"n"},"spec":{"rules":)" + rules + "}}");
    REQUIRE(read);
    return *read;
  };
  const HttpRoute plain = route(R"([{"matches":[{"path":{"type":"PathPrefix","value":"/"}}],"backendRefs":[{"name":"m","weight":90},{"name":"m-candidate","weight":10}]}])");
  CHECK(plain.weights == std::map<std::string, int>{{"m", 90}, {"m-candidate", 10}});
  CHECK((plain.chosen.empty() && !plain.mirrored));
  const HttpRoute rich = route(
      R"([{"matches":[{"headers":[{"type":"Exact","name":"a","value":"1"},{"type":"RegularExpression","name":"b","value":".*"}]}],"backendRefs":[{"name":"m-candidate","weight":1}]},
          {"filters":[{"type":"RequestMirror","requestMirror":{"backendRef":{"name":"m-candidate"}}}],"backendRefs":[{"name":"m"}]}])");
  CHECK(rich.weights == std::map<std::string, int>{{"m", 1}});
  CHECK(rich.chosen == std::vector<HeaderMatch>{{"a", "1", false}, {"b", ".*", true}});
  CHECK(rich.mirrored);
}

TEST_CASE("a Job's end", "[api]") {
  const auto job = [](const char* status) {
    return *parse<Job>(
        std::string(
            R"({"metadata":{"name":"j","labels":{"modelops.dev/model":"fraud"}},"spec":{"template":{"spec":{"containers":)"
            R"([{"name":"t","image":"trainer:1"},{"name":"u","image":"other"}]}}},"status":)") +
        status + "}");
  };
  const Job done = job(R"({"completionTime":"2026-11-22T09:00:00Z","succeeded":1,"conditions":[
    {"type":"SuccessCriteriaMet","status":"True","lastTransitionTime":"2026-11-22T08:59:00Z"},
    {"type":"Complete","status":"True","lastTransitionTime":"2026-11-22T09:00:01Z"}]})");
  CHECK(done.model == "fraud");
  CHECK(done.image == "trainer:1");
  CHECK(done.complete);
  CHECK_FALSE(done.failed);
  CHECK(done.finished == parse_time("2026-11-22T09:00:00Z"));
  const Job failed = job(R"({"failed":1,"conditions":[
    {"type":"FailureTarget","status":"True","reason":"BackoffLimitExceeded","message":"m"},
    {"type":"Failed","status":"True","reason":"BackoffLimitExceeded","message":"Job has reached the specified backoff limit","lastTransitionTime":"2026-11-22T09:00:01Z"}]})");
  CHECK(failed.failed);
  CHECK(failed.failure_message == "BackoffLimitExceeded: Job has reached the specified backoff limit");
  CHECK(failed.finished == parse_time("2026-11-22T09:00:01Z"));
  const Job running = job(R"({"active":1,"conditions":[{"type":"Failed","status":"False"}]})");
  CHECK_FALSE(running.failed);
  CHECK_FALSE(running.finished);
}

TEST_CASE("a Pod that is ready has no problem", "[api]") {
  const Pod p = pod(R"({"phase":"Running","conditions":[{"type":"Ready","status":"True"}],
    "initContainerStatuses":[{"name":"modelops-fetch","ready":true,"restartCount":1,"state":{"terminated":{"exitCode":0,"reason":"Completed"}},
      "lastState":{"terminated":{"exitCode":65,"message":"digest mismatch"}}}],
    "containerStatuses":[{"name":"server","ready":true,"restartCount":2,"state":{"running":{}},"lastState":{"terminated":{"exitCode":1}}}]})");
  CHECK(p.model == "fraud");
  CHECK(p.version == "fraud-v2");
  CHECK(p.ready);
  CHECK(p.problem.empty());
  CHECK_FALSE(p.digest_mismatch);
}

TEST_CASE("a Pod that ended is told from one that runs", "[api]") {
  CHECK(pod(R"({"phase":"Failed","reason":"Evicted","message":"out of memory"})").ended);
  CHECK(pod(R"({"phase":"Succeeded"})").ended);
  CHECK_FALSE(pod(R"({"phase":"Running"})").ended);
}

TEST_CASE("a Pod that starts has no problem either", "[api]") {
  CHECK(
      problem(
          R"({"phase":"Pending","conditions":[{"type":"PodScheduled","status":"True"},{"type":"Ready","status":"False"}],
    "initContainerStatuses":[{"name":"modelops-fetch","state":{"running":{}}}],
    "containerStatuses":[{"name":"server","state":{"waiting":{"reason":"PodInitializing"}}}]})") == "");
  CHECK(
      problem(
          R"({"containerStatuses":[{"name":"server","state":{"waiting":{"reason":"ContainerCreating"}}}]})") ==
      "");
  CHECK(problem("{}") == "");
}

TEST_CASE("what keeps a Pod from being ready", "[api]") {
  CHECK(
      problem(
          R"({"conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":"0/3 nodes are available"}]})") ==
      "Unschedulable: 0/3 nodes are available");
  CHECK(
      problem(
          R"({"containerStatuses":[{"name":"server","state":{"waiting":{"reason":"CreateContainerConfigError","message":"secret \"x\" not found"}}}]})") ==
      "CreateContainerConfigError: secret \"x\" not found");
  CHECK(problem(R"({"phase":"Failed","reason":"Evicted","message":"low on memory"})") ==
        "Evicted: low on memory");
  CHECK(
      problem(
          R"({"containerStatuses":[{"name":"server","restartCount":0,"state":{"terminated":{"exitCode":137,"reason":"OOMKilled"}}}]})") ==
      "container server ended with exit code 137 (OOMKilled)");
}

// A message that changes with each state of the container would be a status write each time, for as long as
// the fault lasts.
TEST_CASE("the states of one fault are said in the same words", "[api]") {
  const std::string crash = "CrashLoopBackOff: container server ended with exit code 1: no model";
  const std::string end = R"({"terminated":{"exitCode":1,"reason":"Error","message":"no model\n"}})";
  const auto server = [](const std::string& state, const std::string& last) {
    return problem(R"({"containerStatuses":[{"name":"server","ready":false,"restartCount":3,"state":)" +
                   state + R"(,"lastState":)" + last + "}]}");
  };
  CHECK(
      server(
          R"({"waiting":{"reason":"CrashLoopBackOff","message":"back-off 40s restarting failed container"}})",
          end) == crash);
  CHECK(server(R"({"running":{"startedAt":"2026-11-22T09:00:00Z"}})", end) == crash);
  CHECK(server(end, end) == crash);

  const std::string image = "ErrImagePull: image not found";
  CHECK(server(R"({"waiting":{"reason":"ErrImagePull","message":"image not found"}})", "{}") == image);
  CHECK(
      server(
          R"({"waiting":{"reason":"ImagePullBackOff","message":"Back-off pulling image \"x\": ErrImagePull: image not found"}})",
          "{}") == image);
  CHECK(server(R"({"waiting":{"reason":"ImagePullBackOff","message":"Back-off pulling image \"x\""}})",
               "{}") == "ImagePullBackOff: Back-off pulling image \"x\"");
}

TEST_CASE("the last words of the fetch container", "[api]") {
  const char* mismatch =
      R"({"terminated":{"exitCode":65,"reason":"Error","message":"the digest is sha256:1, not sha256:2\n"}})";
  const auto fetch = [](const std::string& state, const std::string& last) {
    return pod(
        R"({"initContainerStatuses":[{"name":"modelops-fetch","restartCount":1,"state":)" + state +
        R"(,"lastState":)" + last +
        R"(}],"containerStatuses":[{"name":"server","state":{"waiting":{"reason":"PodInitializing"}}}]})");
  };
  for (const Pod& p : {fetch(mismatch, "{}"), fetch(R"({"waiting":{"reason":"CrashLoopBackOff"}})", mismatch),
                       fetch(R"({"running":{}})", mismatch)}) {
    CHECK(p.problem == "the digest is sha256:1, not sha256:2");
    CHECK(p.digest_mismatch);
  }
  const Pod other =
      fetch(R"({"terminated":{"exitCode":69,"message":"the store does not answer"}})", mismatch);
  CHECK(other.problem == "the store does not answer");
  CHECK_FALSE(other.digest_mismatch);
  CHECK_FALSE(other.bad_signature);
  CHECK(fetch(R"({"terminated":{"exitCode":76,"message":"bad signature"}})", "{}").bad_signature);
}

TEST_CASE("how far a pod is with fetching", "[api]") {
  const auto fetch = [](const std::string& first, const std::string& second) {
    return pod(R"({"initContainerStatuses":[{"name":"modelops-fetch",)" + first + R"(},{"name":"modelops-fetch-lora",)" + second +
               R"(},{"name":"warm","restartCount":3,"state":{"waiting":{}}}]})");
  };
  const std::string waits = R"("restartCount":0,"state":{"waiting":{"reason":"PodInitializing"}})",
                    runs = R"("restartCount":0,"state":{"running":{"startedAt":"2026-11-22T09:00:05Z"}})",
                    done = R"("restartCount":0,"state":{"terminated":{"exitCode":0,"startedAt":"2026-11-22T09:00:00Z","finishedAt":"2026-11-22T09:01:00Z"}})",
                    later = R"("restartCount":2,"state":{"terminated":{"exitCode":0,"startedAt":"2026-11-22T09:02:00Z","finishedAt":"2026-11-22T09:03:00Z"}})",
                    failed = R"("restartCount":0,"state":{"terminated":{"exitCode":69,"startedAt":"2026-11-22T09:02:00Z","finishedAt":"2026-11-22T09:03:00Z"}})",
                    again = R"("restartCount":1,"state":{"running":{"startedAt":"2026-11-22T09:09:05Z"}})";
  CHECK_FALSE(fetch(waits, waits).fetching_since);
  CHECK(fetch(runs, waits).fetching_since == parse_time("2026-11-22T09:00:05Z"));
  CHECK(fetch(done, waits).fetching_since == parse_time("2026-11-22T09:00:00Z"));
  CHECK_FALSE(fetch(done, waits).fetched_at);
  CHECK_FALSE(fetch(done, failed).fetching_since);
  CHECK_FALSE(fetch(done, again).fetching_since);
  CHECK(fetch(done, later).fetched_at == parse_time("2026-11-22T09:03:00Z"));
  CHECK_FALSE(fetch(done, later).fetching_since);
  const Pod none = pod(R"({"containerStatuses":[{"name":"server","state":{"running":{}}}]})");
  CHECK_FALSE(none.fetched_at);
  CHECK_FALSE(none.fetching_since);
}

TEST_CASE("how far a pod is whose artifact the kubelet mounts", "[api]") {
  const auto mounts = [](const std::string& containers, const std::string& volumes = R"([{"name":"tmp"},{"name":"modelops-image"}])") {
    // The status comes first: the order of fields means nothing.
    const auto parsed = parse<Pod>(
        R"({"metadata":{"name":"p"},"status":{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"True","lastTransitionTime":"2026-11-22T09:00:00Z"}],)" +
        containers + R"(},"spec":{"volumes":)" + volumes + "}}");
    REQUIRE(parsed);
    return *parsed;
  };
  const auto server = [](const std::string& state) { return R"("containerStatuses":[{"name":"server",)" + state + "}]"; };
  const std::string creating = server(R"("state":{"waiting":{"reason":"ContainerCreating"}})");
  CHECK(mounts(creating).fetching_since == parse_time("2026-11-22T09:00:00Z"));
  CHECK(mounts(creating, R"([{"name":"modelops-image-lora"}])").fetching_since);
  CHECK_FALSE(mounts(creating, R"([{"name":"modelops-images"}])").fetching_since);
  CHECK_FALSE(mounts(creating).fetched_at);

  const Pod refused = mounts(server(R"("state":{"waiting":{"reason":"ErrImagePull","message":"no such manifest"}})"));
  CHECK_FALSE(refused.fetching_since);
  CHECK(refused.problem == "ErrImagePull: no such manifest");

  // Then a container looks at them, and others fetch what is none.
  const std::string waits = R"(,"containerStatuses":[{"name":"server","state":{"waiting":{"reason":"PodInitializing"}}}])";
  const Pod fetches = mounts(R"("initContainerStatuses":[{"name":"modelops-fetch-prompt","state":{"running":{"startedAt":"2026-11-22T09:03:00Z"}}}])" + waits);
  CHECK(fetches.fetching_since == parse_time("2026-11-22T09:03:00Z"));
  CHECK_FALSE(fetches.fetched_at);
  const Pod done = mounts(R"("initContainerStatuses":[{"name":"modelops-fetch",
      "state":{"terminated":{"exitCode":0,"startedAt":"2026-11-22T09:03:00Z","finishedAt":"2026-11-22T09:04:00Z"}}}])" + waits);
  CHECK(done.fetched_at == parse_time("2026-11-22T09:04:00Z"));
  CHECK_FALSE(done.fetching_since);
}

TEST_CASE("an autoscaler that cannot scale says why", "[api]") {
  const auto problem = [](const std::string& conditions) {
    const auto a = parse<Autoscaler>(R"({"metadata":{"name":"m","labels":{"modelops.dev/model":"m"}},"spec":{"maxReplicas":3},
        "status":{"conditions":[)" + conditions + "]}}");
    REQUIRE(a);
    CHECK(a->model == "m");
    CHECK(!a->spec_hash.empty());
    return a->problem;
  };
  const std::string able = R"({"type":"AbleToScale","status":"True","reason":"SucceededGetScale","message":"x"},)";
  CHECK(problem(able + R"({"type":"ScalingActive","status":"False","reason":"FailedGetResourceMetric","message":"no metrics"})") ==
        "FailedGetResourceMetric: no metrics");
  CHECK(problem(R"({"type":"AbleToScale","status":"False","reason":"FailedGetScale","message":"no such thing"})") ==
        "FailedGetScale: no such thing");
  CHECK(problem(able + R"({"type":"ScalingActive","status":"False","reason":"ScalingDisabled","message":"replicas is zero"})").empty());
  CHECK(problem(able + R"({"type":"ScalingLimited","status":"False","reason":"DesiredWithinRange","message":"fine"})").empty());
}

TEST_CASE("a copy of a ConfigMap says of what", "[api]") {
  const auto c = parse<ConfigMap>(R"({"metadata":{"name":"m-v1-a1","namespace":"n","labels":{"modelops.dev/model":"m","modelops.dev/version":"m-v1"},
      "annotations":{"modelops.dev/copy-of":"settings","modelops.dev/copied-at":"7"}}})");
  REQUIRE(c);
  REQUIRE(c->copy);
  CHECK(c->copy->model == "m");
  CHECK(c->copy->version == "m-v1");
  CHECK(c->copy->source == "settings");
  CHECK(c->copy->source_version == "7");
  CHECK_FALSE(parse<ConfigMap>(R"({"metadata":{"name":"c","labels":{"modelops.dev/model":"m"}}})")->copy);
}

TEST_CASE("a ConfigMap's data is not kept", "[api]") {
  const auto c = parse<ConfigMap>(
      R"({"metadata":{"name":"c","namespace":"n","resourceVersion":"9"},"data":{"digest":"x"}})");
  REQUIRE(c);
  CHECK(c->meta.key == ObjectKey{"n", "c"});
  CHECK(c->meta.resource_version == "9");
}
