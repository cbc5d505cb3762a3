// `kubectl model plan` on a cluster: namespaces, mistakes, and what may not be read.
#include <catch2/catch.hpp>

#include "plugin/plan.h"
#include "plugin/stand_ins.h"
#include "tests/unit/plugin_cluster.h"

using namespace mo;
using namespace mo::plugin;
using namespace mo::plugin::test;

namespace {

struct Said {
  int code;
  std::string out, err;
};
Said plan_of(ClusterClient& cluster, const std::vector<Json>& files, bool ns_given = false) {
  std::string input;
  for (const Json& file : files) input += "---\n" + file.dump() + "\n";
  std::istringstream in(input);
  Printed printed;
  Session session = printed.session(cluster);
  const int code = plan_files(session, {{{"-"}, {}}, ns_given}, in);
  return {code, printed.out.str(), printed.err.str()};
}

Json file_of(const std::string& kind, const std::string& name, const Json& spec, const std::string& ns = "") {
  Json file = {{"apiVersion", "modelops.dev/v1alpha1"}, {"kind", kind}, {"metadata", {{"name", name}}}, {"spec", spec}};
  if (!ns.empty()) file["metadata"]["namespace"] = ns;
  return file;
}

Json version_of(const std::string& model, const std::string& name, const std::string& ns = "ns") {
  Json object = file_of("ModelVersion", name,
                        {{"modelRef", {{"name", model}}},
                         {"artifact",
                          {{"uri", "configmap://" + name + "/artifact"},
                           {"digest", "sha256:" + std::string(64, 'a')},
                           {"format", {{"name", "tiny"}}}}}});
  object["metadata"].update({{"namespace", ns}, {"uid", "u-" + name}, {"resourceVersion", "3"}});
  return object;
}

Json runtime(const std::string& name) {
  Json object = file_of("ModelRuntime", name,
                        {{"formats", {{{"name", "tiny"}}}},
                         {"template", {{"spec", {{"containers", {{{"name", "server"}, {"image", "tiny"}}}}}}}}});
  object["metadata"].update({{"uid", "u-" + name}, {"resourceVersion", "2"}});
  return object;
}

// A Model m that serves m-v1, and m-v2.
struct Serving : ClusterClient {
  Serving() {
    objects[Kind::Model] = {model_named("m")};
    objects[Kind::ModelVersion] = {version_of("m", "m-v1"), version_of("m", "m-v2")};
    objects[Kind::ModelRuntime] = {runtime("tiny")};
  }
};

}  // namespace

TEST_CASE("plugin: plan takes the namespace that a file names", "[plugin][plan]") {
  Serving cluster;
  cluster.objects[Kind::ModelVersion].push_back(version_of("n", "n-v1", "other"));
  const Json there = file_of("Model", "n", {{"version", "n-v1"}}, "other"), here = file_of("Model", "m", {{"version", "m-v2"}});
  const Said both = plan_of(cluster, {there, here});
  CHECK(both.code == kNo);
  CHECK_THAT(both.out, Catch::Contains("Model ns/m is changed\n    spec.version: m-v1 -> m-v2\n") &&
                           Catch::Contains("For Model ns/m the operator would:\n") &&
                           Catch::Contains("Model other/n is created\n") &&
                           Catch::Contains("For Model other/n the operator would:\n"));
  // As kubectl apply does.
  const Said against = plan_of(cluster, {there}, true);
  CHECK(against.code == kTrouble);
  CHECK_THAT(against.err, Catch::Contains("namespace \"other\" of Model n differs from -n ns: use -n other"));
}

TEST_CASE("plugin: plan tells a mistake instead of nothing to do", "[plugin][plan]") {
  Serving cluster;
  const Said foreign = plan_of(cluster, {{{"apiVersion", "v1"}, {"kind", "Service"}}});
  CHECK(foreign.code == kTrouble);
  CHECK_THAT(foreign.err, Catch::Contains("no object of modelops.dev"));
  const Said unknown = plan_of(cluster, {file_of("Modell", "m", Json::object())});
  CHECK(unknown.code == kTrouble);
  CHECK_THAT(unknown.err, Catch::Contains("not a kind of modelops.dev: \"Modell\""));

  const Said alone = plan_of(cluster, {version_of("gone", "gone-v1")});
  CHECK(alone.code == kNo);
  CHECK_THAT(alone.out, Catch::Contains("! Model ns/gone does not exist: nothing happens until it is created"));
  const Said unused = plan_of(
      cluster, {file_of("ModelGateSet", "s", {{"gates", {{{"name", "a"}, {"version", {{"metric", "f1"}}}, {"min", "0"}}}}})});
  CHECK_THAT(unused.out, Catch::Contains("! no Model of namespace ns uses ModelGateSet s"));

  const Said stalled = plan_of(cluster, {file_of("Model", "m", {{"version", "m-v9"}})});
  CHECK(stalled.code == kNo);
  CHECK_THAT(stalled.out, Catch::Contains("    ! Model ns/m would be stalled: VersionNotFound: ModelVersion m-v9 does not exist"));
  // Nothing in the file changes, and it is stalled all the same.
  const std::string as_is = stalled.out;
  Json& model = cluster.objects[Kind::Model][0];
  model["status"]["conditions"] = {{{"type", "Stalled"}, {"status", "True"}, {"reason", "Odd"}, {"message", "so it is"}}};
  CHECK_THAT(plan_of(cluster, {file_of("Model", "m", {{"version", "m-v1"}})}).out,
             Catch::Contains("stalled") || Catch::Contains("would:"));
}

TEST_CASE("plugin: plan tells which monitors a set would bring, change and take away", "[plugin][plan]") {
  Serving cluster;
  cluster.objects[Kind::Model][0]["spec"]["monitorSets"] = {{{"name", "shared"}, {"kind", "ModelGateSet"}}};
  const auto set = [](const std::string& name, const std::string& most) {
    return file_of("ModelGateSet", "shared",
                   {{"monitors", {{{"name", name}, {"prometheus", {{"query", "q"}}}, {"max", most}, {"actions", {"Alert", "Rollback"}}}}}});
  };
  const Said brings = plan_of(cluster, {set("drift", "0.2")});
  CHECK(brings.code == kNo);
  CHECK_THAT(brings.out, Catch::Contains("monitor added: monitor drift of ModelGateSet/shared (Alert, Rollback)"));
  Json live = set("drift", "0.2");
  live["metadata"].update({{"namespace", "ns"}, {"uid", "u-s"}, {"resourceVersion", "3"}});
  cluster.objects[Kind::ModelGateSet] = {live};
  CHECK_THAT(plan_of(cluster, {set("drift", "0.3")}).out, Catch::Contains("monitor changes: monitor drift of ModelGateSet/shared"));
  CHECK_THAT(plan_of(cluster, {set("bias", "0.3")}).out,
             Catch::Contains("monitor added: monitor bias of") && Catch::Contains("monitor removed: monitor drift of"));
  const Json file = file_of("Model", "m", {{"version", "m-v1"}, {"monitorSets", {{{"name", "gone"}}}}});
  CHECK_THAT(plan_of(cluster, {file}).out, Catch::Contains("! not Healthy: ModelGateSet gone does not exist in namespace ns: create it, or correct spec.monitorSets"));
}

TEST_CASE("plugin: plan goes on without what a person may not list", "[plugin][plan]") {
  Serving cluster;
  cluster.objects[Kind::Model][0]["spec"]["serving"] = {{"runtime", {{"name", "tiny"}}}};
  cluster.forbidden = {Kind::ModelRuntime, Kind::ClusterModelGateSet, Kind::HttpRoute};
  const Json file = file_of("Model", "m",
                            {{"version", "m-v2"},
                             {"serving", {{"runtime", {{"name", "tiny"}}}}},
                             {"rollout",
                              {{"steps", {{{"gates", {"errors"}}}, {{"weight", 50}}}},
                               {"gateSets", {{{"name", "org"}, {"kind", "ClusterModelGateSet"}}}}}}});
  const Said said = plan_of(cluster, {file});
  CHECK(said.code == kNo);
  CHECK_THAT(said.out, Catch::Contains("create ModelRollout ns/m-v2-2") && Catch::Contains("1 gates errors\n") &&
                           Catch::Contains("? you may not list modelruntimes: ") &&
                           Catch::Contains("? you may not list clustermodelgatesets: ") &&
                           !Catch::Contains("httproutes") && !Catch::Contains("stalled") && !Catch::Contains("not start"));
  CHECK_THAT(said.err, Catch::Contains("you need the ClusterRole model-operator-planner"));
  CHECK_THAT(plan_of(cluster, {runtime("tiny")}).out, Catch::Contains("ModelRuntime tiny is created or changed (you may not list"));
  // Of the rest nothing can be told.
  cluster.forbidden = {Kind::Deployment};
  const Said none = plan_of(cluster, {file});
  CHECK(none.code == kTrouble);
  CHECK_THAT(none.err, Catch::Contains("deployments is forbidden"));
}

TEST_CASE("plugin: what stands in for kinds that may not be read", "[plugin][plan]") {
  Json plain = model_named("a"), routed = model_named("b");
  plain["spec"]["rollout"] = {{"gateSets", {{{"kind", "ModelGateSet"}, {"name", "x"}}}}};
  routed["spec"]["serving"] = {{"route", {{"parentRefs", {{{"name", "gw"}}}}}}, {"runtime", {{"name", "own"}}}};
  CHECK(needs(plain, Kind::ModelRuntime));
  CHECK_FALSE(needs(plain, Kind::ClusterModelGateSet));
  CHECK_FALSE(needs(plain, Kind::HttpRoute));
  CHECK(needs(routed, Kind::HttpRoute));
  CHECK(stand_in_gate_sets({plain, routed}).empty());
  const auto runtimes = stand_in_runtimes({plain, routed}, {version_of("a", "a-v1")});
  REQUIRE(runtimes.size() == 2);
  CHECK(name_of(runtimes[0]) == "own");
  CHECK(runtimes[1]["spec"]["formats"] == Json::parse(R"([{"name": "tiny"}])"));
}

TEST_CASE("plugin: what plan quotes does not steer the terminal", "[plugin][plan]") {
  Serving cluster;
  const Said said = plan_of(cluster, {file_of("Model", "m", {{"version", "m-v1"}, {"description", "a\x1b[2Jb\nnothing to do"}})});
  CHECK(said.code == kNo);
  CHECK(said.out.find('\x1b') == std::string::npos);
  CHECK_THAT(said.out, Catch::Contains("    spec.description: a?[2Jb nothing to do is added\n"));
}
