// `kubectl model reproduce`: what a run was told, told once more, and what came of it.
#include <catch2/catch.hpp>

#include "plugin/reproduce.h"
#include "tests/unit/plugin_cluster.h"

using namespace mo;
using namespace mo::plugin;
using namespace mo::plugin::test;
using Catch::Matchers::Contains;

namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a'), kOther = "sha256:" + std::string(64, 'b');

Json version() {
  return {{"metadata", {{"name", "m-v6"}, {"namespace", "ns"}}},
          {"spec",
           {{"modelRef", {{"name", "m"}}},
            {"artifact", {{"uri", "pvc://x/1"}, {"digest", kDigest}, {"format", {{"name", "rules"}}}}},
            {"lineage",
             {{"run", {{"kind", "TrainingRun"}, {"name", "m-run-000007"}, {"seed", "8"}}},
              {"data", {{{"name", "d"}, {"digest", "sha256:1"}}}},
              {"environment", {{"image", "t:1"}}}}},
            {"metrics", {{"f1", "0.94"}, {"auc", "0.99"}}}}}};
}

// A run of two trials in its second attempt, whose second trial was the best.
Json run(const std::string& name = "m-run-000007") {
  return {{"metadata", {{"name", name}, {"namespace", "ns"}}},
          {"spec", {{"modelRef", {{"name", "m"}}}}},
          {"status",
           {{"phase", "Succeeded"},
            {"finishedAt", "2026-11-22T09:00:00Z"},
            {"attempt", 2},
            {"seed", 8},
            {"version", "m-v6"},
            {"trials",
             {{{"attempt", 1}, {"index", 1}, {"parameters", {{"C", "9"}}}},
              {{"attempt", 2}, {"index", 0}, {"parameters", {{"C", "0.01"}}}},
              {{"attempt", 2}, {"index", 1}, {"parameters", {{"C", "0.1"}}}}}},
            {"result",
             {{"trial", 1},
              {"artifact", {{"uri", "pvc://x/2"}, {"digest", kDigest}, {"format", {{"name", "rules"}}}}},
              {"metrics", {{"f1", "0.5"}}},
              {"lineage", {{"data", {{{"name", "d"}, {"digest", "sha256:1"}}}}}},
              {"image", "t:1"}}},
            {"stages", {{{"name", "evaluate"}, {"metrics", {{"f1", "0.94"}, {"auc", "0.99"}}}}}}}}};
}

struct Made : ClusterClient {
  Made() {
    Json model = model_named("m");
    model["spec"]["retraining"] = {{"template", Json::object()}};
    objects[Kind::Model] = {model};
    objects[Kind::ModelVersion] = {version()};
    objects[Kind::TrainingRun] = {run()};
  }
};

struct Said {
  int code;
  std::string out, err;
};
Said say(ClusterClient& cluster, Reproducing asked) {
  Printed printed;
  Session session = printed.session(cluster);
  asked.version = "m-v6";
  const int code = reproduce(session, asked);
  return {code, printed.out.str(), printed.err.str()};
}

TEST_CASE("plugin: a version is made again with the seed of its attempt and the parameters of its trial", "[plugin][reproduce]") {
  const auto made = again(version(), run());
  REQUIRE(made);
  CHECK((*made)["spec"] == Json{{"modelRef", {{"name", "m"}}},
                                {"trigger", {{"name", "m-v6"}, {"kind", "Reproduce"}}},
                                {"seed", 8},
                                {"onSuccess", "Register"},
                                {"parameters", {{"C", "0.1"}}}});
  CHECK((*made)["metadata"]["generateName"] == "m-again-");
  Json model = model_named("m");
  CHECK(kind_to_name(model) == "");
  model["spec"]["retraining"]["workload"] = {{"resource", "jobsets"}, {"object", {{"apiVersion", "jobset.x-k8s.io/v1alpha2"}}}};
  CHECK(kind_to_name(model) == "jobsets.jobset.x-k8s.io");
}

TEST_CASE("plugin: what nobody knows how to make again is refused, and says why", "[plugin][reproduce]") {
  Json other = run();
  other["status"]["version"] = "m-v9";
  CHECK_THAT(again(version(), other).error().message, Contains("did not make m-v6"));
  Json old = run();
  old["status"].erase("trials");
  CHECK_THAT(again(version(), old).error().message, Contains("neither trial nor seed"));

  Made gone;
  gone.objects[Kind::TrainingRun].clear();
  auto said = say(gone, {});
  CHECK(said.code == kNo);
  CHECK_THAT(said.err, Contains("TrainingRun m-run-000007, which made m-v6, does not exist any more") && Contains("kubectl model lineage m-v6"));

  Made written;
  written.objects[Kind::ModelVersion][0]["spec"].erase("lineage");
  said = say(written, {});
  CHECK(said.code == kNo);
  CHECK_THAT(said.err, Contains("names no run in spec.lineage.run"));

  Made by_job;
  by_job.objects[Kind::ModelVersion][0]["spec"]["lineage"]["run"]["kind"] = "Job";
  CHECK_THAT(say(by_job, {}).err, Contains("was made by Job m-run-000007, not by a TrainingRun"));

  Made untrained;
  untrained.objects[Kind::Model] = {model_named("m")};
  CHECK_THAT(say(untrained, {}).err, Contains("has no spec.retraining"));
}

TEST_CASE("plugin: a dry run sends nothing, and tells of parameters that came since", "[plugin][reproduce]") {
  Made cluster;
  cluster.objects[Kind::Model][0]["spec"]["retraining"]["trials"]["parameters"] = {{"C", {"1"}}, {"penalty", {"l1", "l2"}}};
  const auto said = say(cluster, {.only_show = true});
  CHECK(said.code == kDone);
  CHECK(said.out == "a TrainingRun would make m-v6 again, with seed 8 and {\"C\":\"0.1\"}\n");
  CHECK_THAT(said.err, Contains("new parameters (penalty)"));
  CHECK(cluster.calls().empty());
}

TEST_CASE("plugin: the same bits are told from other bytes, and figures by how far they are apart", "[plugin][reproduce]") {
  const Json original = version();
  Json again = run("m-again-x");
  again["status"]["attempt"] = 1;
  auto same = compare(original, again, {});
  REQUIRE(same);
  CHECK((same->same_bits && same->same_figures && same->differences.empty()));
  CHECK(same->sentence == "same bits: TrainingRun m-again-x made " + kDigest + " again, metrics are the same");

  again["status"]["result"]["artifact"]["digest"] = kOther;
  again["status"]["result"]["lineage"]["data"][0]["digest"] = "sha256:2";
  again["status"]["stages"][0]["metrics"]["f1"] = "0.938";
  auto other = compare(original, again, {});
  REQUIRE(other);
  CHECK_FALSE(other->same_bits);
  CHECK_FALSE(other->same_figures);
  CHECK_THAT(other->sentence, Contains("other bytes") && Contains("metrics within 0.002"));
  CHECK(other->differences == std::vector<Difference>{{"artifact.digest", kDigest, kOther},
                                                      {"lineage.data[d].digest", "sha256:1", "sha256:2"},
                                                      {"metrics.f1", "0.94", "0.938"}});
  CHECK(compare(original, again, Decimal::parse("0.002"))->same_figures);

  again["status"]["stages"][0]["metrics"].erase("auc");
  CHECK_FALSE(compare(original, again, Decimal::parse("1"))->same_figures);

  again["status"].erase("result");
  again["status"]["phase"] = "Failed";
  CHECK_THAT(compare(original, again, {}).error().message, Contains("has no result to compare: Failed"));
}

TEST_CASE("plugin: a run that was started before is compared once it is over", "[plugin][reproduce]") {
  Made cluster;
  Json under_way = run("m-again-x");
  under_way["status"].erase("finishedAt");
  under_way["status"]["message"] = "Job m-again-x-train runs";
  Json foreign = run("n-again-x");
  foreign["spec"]["modelRef"]["name"] = "n";
  cluster.objects[Kind::TrainingRun] = {run(), run("m-again-y"), under_way, foreign};
  CHECK(say(cluster, {.run = "m-again-y"}).code == kDone);
  const auto said = say(cluster, {.run = "m-again-x"});
  CHECK(said.code == kNotYet);
  CHECK_THAT(said.err, Contains("is not over: Job m-again-x-train runs"));
  CHECK_THAT(say(cluster, {.run = "n-again-x"}).err, Contains("belongs to Model n, not to m"));
  const Json told = *parse_json(say(cluster, {.run = "m-again-y", .output = "json"}).out, 1 << 20);
  CHECK((told["sameBits"] == true && told["metricsWithin"] == "0"));
}

}  // namespace
