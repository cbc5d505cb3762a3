// The offline check knows all that the CRDs say.
#include <stdlib.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "plugin/crd_rules.h"
#include "plugin/commands.h"
#include "plugin/crds.h"
#include "plugin/fields.h"
#include "plugin/lint.h"
#include "plugin/schema.h"

using namespace mo;
using namespace mo::plugin;

namespace {

std::vector<std::string> linted(const std::string& text) {
  std::istringstream in(text);
  const auto objects = read_files({{"-"}, {}}, in);
  REQUIRE(objects);
  std::vector<std::string> lines;
  for (const Complaint& complaint : lint(*objects)) lines.push_back(complaint.to_string());
  return lines;
}

std::string first(const std::string& text) {
  const auto lines = linted(text);
  INFO(text);
  REQUIRE_FALSE(lines.empty());
  return lines[0];
}

bool holds(const std::string& rule, const std::string& self) {
  const auto expression = parse_rule(rule);
  INFO(rule << (expression ? "" : ": " + expression.error().message));
  REQUIRE(expression);
  const auto result = expression->holds(Json::parse(self));
  INFO((result ? "" : result.error().message));
  REQUIRE(result);
  return *result;
}

std::string wrong(const std::string& rule, const std::string& self) {
  const auto expression = parse_rule(rule);
  REQUIRE(expression);
  const auto result = expression->holds(Json::parse(self));
  REQUIRE_FALSE(result);
  return result.error().message;
}

}  // namespace

// It was refused for having no name, although check and API server take it.
TEST_CASE("plugin: lint takes objects that the API server is to name", "[plugin]") {
  const std::string rollout =
      "apiVersion: modelops.dev/v1alpha1\nkind: ModelRollout\nmetadata: {generateName: again-}\n"
      "spec: {modelRef: {name: fraud}, version: fraud-v2}\n";
  CHECK(linted(rollout + "---\n" + rollout).empty());
}

TEST_CASE("plugin: lint leaves out nothing that the CRDs say", "[plugin][lint]") {
  REQUIRE(crds().size() >= 4);
  for (const Crd& crd : crds()) {
    INFO(crd.kind);
    CHECK(unknown_in(crd.schema) == std::vector<std::string>{});
  }
  Json odd = Json::parse(
      R"json({"type":"object","properties":{"a":{"type":"string","contentEncoding":"base64"},"b":{"type":"text"},
            "c":{"type":"array","items":{"type":"string","x-kubernetes-validations":[{"rule":"self.frobnicate()"}]}}}})json");
  CHECK(unknown_in(odd) ==
        std::vector<std::string>{".a: contentEncoding", ".b: type text",
                                 ".c[]: the function frobnicate() is not known here (at character 6), in: self.frobnicate()"});
}

TEST_CASE("plugin: the CEL that CRDs use", "[plugin][lint]") {
  CHECK(holds("self.a == 1 && self.b != 'x' || false", R"({"a":1,"b":"y"})"));
  CHECK(holds("has(self.a) != has(self.b)", R"({"a":1})"));
  CHECK(holds("!has(self.a) || self.a.b[0] in ['x', \"y\"]", R"({"a":{"b":["y"]}})"));
  CHECK(holds("self.all(x, x > 0) && self.exists(x, x == 2) && self.exists_one(x, x == 3)", "[1,2,3]"));
  CHECK(holds("self.filter(s, has(s.w)).map(s, s.w).isSorted()", R"([{"w":1},{"p":0},{"w":5}])"));
  CHECK_FALSE(holds("self.filter(s, has(s.w)).map(s, s.w).isSorted()", R"([{"w":5},{"w":1}])"));
  CHECK(holds("[has(self.a), has(self.b)].filter(x, x).size() == 1", R"({"b":1})"));
  CHECK(holds("duration(self) <= duration('1h') && duration(self) >= duration('1s')", R"("90s")"));
  CHECK(holds("double(self) <= 1e-1 && -1 < 0 && 7 / 2 == 3 && 1 + 2 * 3 == 7", R"("0.1")"));
  CHECK(holds("timestamp('2026-07-01T12:00:00Z').getHours(self) == 14", R"("Europe/Berlin")"));
  CHECK(holds("self.size() == 2 && self.startsWith('ä') && self.endsWith('ö') && self.contains(\"äö\")",
              R"("äö")"));
  CHECK(holds("self.matches('^(?i)[a-z]{3}$') && !self.matches('\\\\s')", R"("MON")"));
  CHECK(holds("self.x ? self.y == 'a' + \"b\" : false", R"({"x":true,"y":"ab"})"));
  CHECK(holds("self.in_use == 1 && self.a.exists(in_, in_ == 'in')", R"({"in_use":1,"a":["in"]})"));
}

TEST_CASE("plugin: CEL minds an error only where it matters", "[plugin][lint]") {
  CHECK(holds("self.none == 1 || true", "{}"));
  CHECK(holds("!(self.none == 1 && false)", "{}"));
  CHECK_THAT(wrong("self.none == 1 || false", "{}"), Catch::Contains("none"));
  CHECK_THAT(wrong("self[3] == 1", "[1]"), Catch::Contains("range"));
  CHECK_THAT(wrong("self < 'a'", "1"), Catch::Contains("different types"));
  CHECK_THAT(wrong("timestamp('2026-01-01T00:00:00Z').getHours(self) >= 0", R"("Mars/Olympus")"),
             Catch::Contains("Mars"));
  for (const char* broken : {"", "self ==", "self.a(", "(self", "[1, 2", "'x", "self.all(x)", "has(self)",
                             "x == 1", "self ~ 1", "1 2"})
    CHECK_FALSE(parse_rule(broken));
}

TEST_CASE("plugin: lint tells file, line, field and what to do", "[plugin][lint]") {
  CHECK(linted(R"(apiVersion: modelops.dev/v1alpha1
kind: Model
metadata: {name: fraud}
spec:
  version: fraud-v1
  replica: 3
  rollout:
    steps:
    - weight: 101
    - gates: [accuracy]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: Not_Ours}
---
apiVersion: modelops.dev/v1alpha1
kind: ModelRollout
metadata: {name: r}
spec: {modelRef: {name: fraud}, desiredState: Stopped}
)") == std::vector<std::string>{
           "-:6: spec.replica: unknown field \"spec.replica\"",
           "-:9: spec.rollout.steps[0].weight: Invalid value: 101: should be less than or equal to 100",
           "-:19: spec.version: Required value",
           "-:19: spec.desiredState: Unsupported value: \"Stopped\": supported values: \"Running\", "
           "\"Paused\", \"Promoted\", \"Aborted\""});
  CHECK(linted("apiVersion: modelops.dev/v1alpha1\nkind: Model\nmetadata: {name: m}\nspec:\n  rollout:\n    "
               "steps:\n    - gates: [a]\n") ==
        std::vector<std::string>{"-:5: spec.rollout: a step names gate \"a\", which is not defined under "
                                 "rollout.gates; define it there "
                                 "or correct the name"});
}

TEST_CASE("plugin: lint of odd files", "[plugin][lint]") {
  CHECK(linted("a: [1\n").size() == 1);
  // A check that looks at nothing must not pass.
  CHECK(linted("") == std::vector<std::string>{"-:1: contains no object"});
  CHECK(linted("just a text\n") == std::vector<std::string>{"-:1: contains no object"});
  CHECK_THAT(first("apiVersion: modelops.dev/v1alpha1\nkind: Modell\n"),
             Catch::Contains("-:2: kind: ") && Catch::Contains("ModelRollout"));
  CHECK_THAT(first("apiVersion: modelops.dev/v2\nkind: Model\n"),
             Catch::Contains("-:1: apiVersion: must be modelops.dev/v1alpha1"));
  const std::string one =
      "apiVersion: modelops.dev/v1alpha1\nkind: Model\nmetadata: {name: m}\nspec: {version: m-v1}\n";
  CHECK(linted(one).empty());
  CHECK(linted(one + "status: {phase: 7}\n").empty());
  CHECK_THAT(first(one + "---\n" + one),
             Catch::Contains("-:8: metadata.name: Model m is defined twice; first at -:1"));
  CHECK(
      first(R"({"apiVersion":"v1","kind":"List","items":[{"apiVersion":"modelops.dev/v1alpha1","kind":"Model",
"metadata":{"name":"m"},
"spec":{"track":"Sideways"}}]})") ==
      "-:3: spec.track: Unsupported value: \"Sideways\": supported values: \"Pinned\", \"Promoted\"");
  CHECK_THAT(first(one.substr(0, one.find("spec"))), Catch::Contains("spec: Required value"));
  CHECK_THAT(first("apiVersion: modelops.dev/v1alpha1\nkind: Model\nmetadata: {labels: {a: on}}\nspec: {}\n"),
             Catch::Contains("metadata.labels.a") && Catch::Contains("in quotes"));
}

TEST_CASE("plugin: lint knows the operator's own rules", "[plugin][lint]") {
  CHECK_THAT(first("apiVersion: modelops.dev/v1alpha1\nkind: Model\nmetadata: {name: m}\nspec:\n  serving: "
                   "{replicas: 2}\n  rollout:\n    steps: "
                   "[{weight: 1}]\n"),
             Catch::Contains("-:7: spec.rollout.steps: weight 1 ") &&
                 Catch::Contains("raise spec.serving.replicas"));
}

TEST_CASE("plugin: lint knows schedules that never come", "[plugin][lint]") {
  CHECK_THAT(first("apiVersion: modelops.dev/v1alpha1\nkind: Model\nmetadata: {name: m}\nspec:\n  retraining:\n"
                   "    template: {spec: {template: {spec: {containers: [{name: c}]}}}}\n"
                   "    triggers: [{name: t, schedule: {cron: 0 0 31 2 *}}]\n"),
             Catch::Contains("-:7: spec.retraining.triggers[0].schedule.cron: \"0 0 31 2 *\" has no occurrence within the next five years"));
}

TEST_CASE("plugin: a Job's template has a container, at admission", "[plugin][lint]") {
  const auto with = [](const std::string& job) {
    return "apiVersion: modelops.dev/v1alpha1\nkind: Model\nmetadata: {name: m}\nspec:\n  rollout: {steps: [{gates: [g]}], gates: [{name: g, min: '1', job: "
           "{metric: f1, template: " + job + "}}]}\n  retraining: {template: " + job + "}\n";
  };
  CHECK(linted(with("{spec: {backoffLimit: 0, template: {spec: {containers: [{name: c, image: i, x: 1}], y: 2}, z: 3}}}")).empty());
  for (const char* empty : {"{}", "{spec: {}}", "{spec: {template: {}}}", "{spec: {template: {spec: {}}}}", "{spec: {template: {spec: {containers: []}}}}"}) {
    INFO(empty);
    CHECK(linted(with(empty)).size() == 2);
  }
}

TEST_CASE("plugin: a web gate's address holds no password, and a host that everybody reads alike", "[plugin][lint]") {
  const auto with = [](const std::string& url) {
    return linted("apiVersion: modelops.dev/v1alpha1\nkind: ModelGateSet\nmetadata: {name: s}\nspec:\n  gates:\n  - {name: a, min: '1', web: {url: '" + url + "'}}\n");
  };
  for (const char* fine : {"https://audit.example", "http://audit.example:8080/x?y=z@w#f", "https://{{model}}.example/{{candidate}}", "http://[fd12::1]:80/", "http://10.0.0.1/"}) {
    INFO(fine);
    CHECK(with(fine).empty());
  }
  for (const char* bad : {"https://me@audit.example/", "https://me:secret@audit.example/", "https://a b/", "ftp://x/", "https:///x", "https://a\\\\b/", "https://x:port/"}) {
    INFO(bad);
    CHECK_FALSE(with(bad).empty());
  }
  CHECK_THAT(with("https://me:secret@audit.example/")[0], Catch::Contains("must not hold a user name or password"));
}

TEST_CASE("plugin: defaults are those of the CRD", "[plugin][lint]") {
  Json model = Json::parse(
      R"({"metadata":{"name":"m"},"spec":{"rollout":{"gates":[{"name":"a","version":{"metric":"m"},"min":"1"}]}}})");
  CHECK(check(*crd_of("Model"), model).empty());
  CHECK(model["spec"]["serving"] == Json({{"pinConfig", true}, {"replicas", 1}}));
  CHECK(model["spec"]["rollout"]["gates"][0]["interval"] == "10s");
  CHECK(model["spec"]["rollout"]["onFailure"] == "Rollback");
}

TEST_CASE("plugin: lint knows gate sets, and names that the sets at hand do not define", "[plugin][lint]") {
  const std::string set = R"(apiVersion: modelops.dev/v1alpha1
kind: ModelGateSet
metadata: {name: shared}
spec:
  gates:
  - {name: recorded, version: {metric: f1}, min: "0.9"}
  - {name: latency, prometheus: {query: 'q{namespace="n"}'}, max: "1"}
---
)";
  const auto model = [](const std::string& gates, const std::string& training, const std::string& sets) {
    return "apiVersion: modelops.dev/v1alpha1\nkind: Model\nmetadata: {name: m}\nspec:\n  rollout: {steps: [{gates: [" +
           gates + "]}], gateSets: [" + sets + "]}\n  retraining: {template: {spec: {template: {spec: {containers: [{name: c}]}}}}, gates: [" + training + "]}\n";
  };
  CHECK(linted(set + model("latency", "recorded", "{name: shared}")).empty());
  // A set that is elsewhere may define anything.
  CHECK(linted(model("latency", "recorded", "{name: shared}")).empty());
  CHECK(linted(set + model("other", "other", "{name: shared}, {name: org, kind: ClusterModelGateSet}")).empty());
  CHECK(linted(set + model("latencies", "latency", "{name: shared}")) ==
        std::vector<std::string>{
            "-:13: spec.rollout: step 1 names gate latencies, which neither rollout.gates nor ModelGateSet shared "
            "defines: define it there or correct the name",
            "-:14: spec.retraining.gates: retraining names gate latency, which is not of kind version; a newly trained "
            "candidate has no traffic to measure, so name only gates of kind version"});
  CHECK_THAT(first(set + model("a", "", "")), Catch::Contains("not defined under rollout.gates"));
  CHECK_THAT(first("apiVersion: modelops.dev/v1alpha1\nkind: ClusterModelGateSet\nmetadata: {name: org}\nspec:\n"
                   "  gates: [{name: a, version: {metric: f1}}]\n"),
             Catch::Contains("-:5: spec.gates[0]: gate \"a\" has no bound"));
}

TEST_CASE("plugin: lint knows sets of monitors, and triggers by what they do not define", "[plugin][lint]") {
  const std::string head = "apiVersion: modelops.dev/v1alpha1\nkind: ModelGateSet\nmetadata: {name: shared}\nspec:\n  monitors:\n";
  const std::string set = head + "  - {name: drift, prometheus: {query: 'q{namespace=\"n\"}'}, max: '1', actions: [Retrain]}\n---\n";
  const auto model = [](const std::string& monitor, const std::string& sets) {
    return "apiVersion: modelops.dev/v1alpha1\nkind: Model\nmetadata: {name: m}\nspec:\n  monitorSets: [" + sets +
           "]\n  retraining: {template: {spec: {template: {spec: {containers: [{name: c}]}}}}, triggers: [{name: t, monitor: {name: " + monitor + "}}]}\n";
  };
  CHECK(linted(set + model("drift", "{name: shared}")).empty());
  CHECK(linted(model("drift", "{name: shared}")).empty());  // a set that is elsewhere may define anything
  CHECK(linted(set + model("drifts", "{name: shared}")) ==
        std::vector<std::string>{"-:12: spec.monitorSets: trigger t names monitor drifts, which neither spec.monitors nor ModelGateSet shared "
                                 "defines: define it there or correct the name"});
  CHECK_THAT(first(model("drift", "")), Catch::Contains("names a monitor that spec.monitors does not have"));
  CHECK_THAT(first(head + "  - {name: a, prometheus: {query: 'q{namespace=\"{{namespace}}\"}'}, max: '1', required: true}\n"),
             Catch::Contains("monitor \"a\" is required, which only a monitor of a ClusterModelGateSet can be"));
  CHECK_THAT(first("apiVersion: modelops.dev/v1alpha1\nkind: ModelGateSet\nmetadata: {name: s}\nspec: {description: d}\n"), Catch::Contains("the set is empty"));
  CHECK_THAT(first(head + "  - {name: a, max: '1', job: {metric: m, template: {metadata: {labels: {modelops.dev/gate: a}}, spec: {template: {spec: {containers: [{name: c}]}}}}}}\n"),
             Catch::Contains("spec.monitors[0].job.template"));
}

TEST_CASE("plugin: an autoscaler that cannot be is refused offline too", "[plugin][lint]") {
  const auto model = [](const std::string& serving) {
    return "apiVersion: modelops.dev/v1alpha1\nkind: Model\nmetadata: {name: m}\nspec: {serving: {" + serving + "}}\n";
  };
  CHECK(linted(model("autoscaling: {maxReplicas: 3, metrics: [{type: Pods, pods: {a: 1}}]}, maxSurge: 0")).empty());
  CHECK_THAT(first(model("autoscaling: {maxReplicas: 3}")), Catch::Contains("without metrics"));
  CHECK_THAT(first(model("autoscaling: {minReplicas: 5, maxReplicas: 3, metrics: [{type: Pods}]}")),
             Catch::Contains("minReplicas is greater than maxReplicas"));
  CHECK_THAT(first(model("maxSurge: 0, route: {parentRefs: [{name: gw}]}")), Catch::Contains("remove maxSurge"));
}

TEST_CASE("plugin: sessions that cannot be kept are refused offline too", "[plugin][lint]") {
  const auto model = [](const std::string& sessions) {
    return "apiVersion: modelops.dev/v1alpha1\nkind: Model\nmetadata: {name: m}\nspec: {serving: {route: {parentRefs: [{name: gw}], sessionPersistence: {" +
           sessions + "}}}}\n";
  };
  CHECK(linted(model("type: Header, sessionName: x-session, idleTimeout: 10m")).empty());
  CHECK(linted(model("")).empty());
  CHECK_THAT(first(model("type: Header, cookieConfig: {lifetimeType: Session}")), Catch::Contains("a header has no cookieConfig"));
  CHECK_THAT(first(model("cookieConfig: {lifetimeType: Permanent}")), Catch::Contains("set absoluteTimeout"));
}

TEST_CASE("plugin: lint tells of templates that cannot be used", "[plugin][lint]") {
  const auto model = [](const std::string& spec) {
    return "apiVersion: modelops.dev/v1alpha1\nkind: Model\nmetadata: {name: m}\nspec: " + spec + "\n";
  };
  CHECK(first(model("{serving: {template: {spec: {containers: [{name: server, env: [{value: a}]}]}}}}"))
            .find("spec.serving.template.spec.containers[0].env[0] has no name") != std::string::npos);
  CHECK(first(model("{serving: {template: {spec: {initContainers: [{name: modelops-fetch}]}}}}")).find("uses a name that the operator reserves") !=
        std::string::npos);
  CHECK(first(model("{retraining: {template: {spec: {template: {spec: {containers: [{image: x}]}}}}}}"))
            .find("spec.retraining.template.spec.template.spec.containers[0] has no name") != std::string::npos);
  CHECK(first("apiVersion: modelops.dev/v1alpha1\nkind: ModelRuntime\nmetadata: {name: rules}\nspec: {formats: [{name: rules}], "
              "template: {spec: {containers: [{name: server, env: [{name: MODEL_PATH, value: /x}]}]}}}\n")
            .find("ModelRuntime rules: spec.template.spec.containers[server].env[MODEL_PATH] is set by the operator") != std::string::npos);
}

TEST_CASE("plugin: artifacts whose credentials or size cannot be are refused offline too", "[plugin][lint]") {
  const auto artifact = [](const std::string& uri, const std::string& more) {
    return "apiVersion: modelops.dev/v1alpha1\nkind: Model\nmetadata: {name: m}\nspec: {artifact: {uri: \"" + uri +
           "\", digest: \"sha256:0123456789012345678901234567890123456789012345678901234567890123\", format: {name: rules}" + more + "}}\n";
  };
  CHECK(linted(artifact("https://store.example:8443/a?b=c@d", ", size: 500Mi, credentials: {secretName: store}")).empty());
  CHECK(linted(artifact("http://[fd00::1]/a", "")).empty());
  for (const char* uri : {"https://jane:pass@store/a", "http://token@store", "https://jane:pa/ss@store/a"})
    CHECK(first(artifact(uri, "")).find("without user name and password") != std::string::npos);
  CHECK(first(artifact("http://store/a", ", credentials: {secretName: s}")).find("oci:// addresses alone") != std::string::npos);
  for (const char* size : {"0", "1.5Gi", "much", "99999999Ti", "-1"})
    CHECK(first(artifact("http://store/a", std::string(", size: \"") + size + "\"")).find("whole number of bytes") != std::string::npos);
}

namespace {

struct Linted {
  int code;
  std::string out, err;
};
Linted lint_of(const std::vector<std::string>& names, const std::string& input = "", bool strict = false) {
  std::istringstream in(input);
  std::ostringstream out, err;
  const int code = lint_files({{names, {}}, strict}, in, out, err);
  return {code, out.str(), err.str()};
}

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/plugin-lint-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << text;
    return path_ / name;
  }
  std::string path() const { return path_; }

 private:
  std::filesystem::path path_;
};

const std::string kModel =
    "apiVersion: modelops.dev/v1alpha1\nkind: Model\nmetadata: {name: m}\nspec: {version: m-v1}\n";

}  // namespace

TEST_CASE("plugin: lint passes over files that are none of ours", "[plugin][lint]") {
  Folder folder;
  const std::string deployment = folder.write("deployment.yaml", "apiVersion: apps/v1\nkind: Deployment\n");
  folder.write("kustomization.yaml", "resources: [deployment.yaml]\n");
  folder.write("chart/values.yaml", "replicas: 3\nimage: {tag: \"1\"}\n");
  folder.write("chart/list.json", "[1, 2]\n");
  const std::string helm = folder.write("chart/templates/a.yaml", "{{- if .Values.on }}\nkind: Service\n{{- end }}\n");
  const Linted none = lint_of({folder.path()});
  CHECK(none.code == kDone);
  CHECK(none.out.empty());
  CHECK(none.err == "0 objects in 5 files, 5 of other kinds skipped: nothing to check\n");
  CHECK(lint_of({deployment}).code == kDone);
  // Named by itself, a file has to be one that can be read; and so has one that speaks of us.
  CHECK_THAT(lint_of({helm}).out, Catch::StartsWith(helm + ":1: "));
  folder.write("chart/templates/b.yaml", "{{- if .Values.on }}\napiVersion: modelops.dev/v1alpha1\n{{- end }}\n");
  CHECK_THAT(lint_of({folder.path()}).out, Catch::Contains("b.yaml:1: "));
  Folder empty;
  CHECK(lint_of({empty.path()}).out == empty.path() + ":1: contains no object\n");
  CHECK(lint_of({folder.path() + "/none.yaml"}).code == kTrouble);
}

TEST_CASE("plugin: lint warns, and fails for it only where it is strict", "[plugin][lint]") {
  const std::string model = kModel.substr(0, kModel.find("spec")) +
                            "spec:\n  serving: {replicas: 2}\n  rollout:\n    steps:\n    - weight: 10\n"
                            "    - weight: 25\n    gates:\n    - name: errors\n      prometheus:\n"
                            "        query: sum(rate(e[1m])) / sum(rate(a{namespace=\"{{namespace}}\"}[1m]))\n"
                            "      max: \"0.1\"\n      samples: {query: sum(a or vector(0)), min: 5}\n";
  const std::vector<std::string> warnings = {
      "-:13: warning: spec.rollout.gates[0].prometheus.query: selects e of all namespaces, so a pod of another namespace "
      "can change the result; add namespace=\"{{namespace}}\" to each selector",
      "-:15: warning: spec.rollout.gates[0].samples.query: selects a of all namespaces, so a pod of another namespace can "
      "change the result; add namespace=\"{{namespace}}\" to each selector",
      "-:15: warning: spec.rollout.gates[0].samples.query: \"or vector(…)\" turns no data into a number, so a gate without "
      "data passes or fails; remove it: no data is then inconclusive. For a share of errors, write 1 - good / all",
      "-:8: warning: spec.rollout.steps[0].weight: weight 10 with 2 replicas takes 10 pods (9 stable, 1 candidate), because "
      "without a route the replica counts make the weight; choose a larger weight, or set spec.serving.route"};
  CHECK(linted(model) == warnings);
  const Linted relaxed = lint_of({"-"}, model), strict = lint_of({"-"}, model, true);
  CHECK(relaxed.code == kDone);
  CHECK(relaxed.err == "1 object in 1 file: no mistakes, 4 warnings\n");
  CHECK(strict.code == kNo);
  CHECK(lint_of({"-"}, kModel, true).code == kDone);
}

TEST_CASE("plugin: lint warns of gate sets, and of no weight that a route keeps", "[plugin][lint]") {
  CHECK_THAT(first("apiVersion: modelops.dev/v1alpha1\nkind: ClusterModelGateSet\nmetadata: {name: org}\nspec:\n  gates:\n"
                   "  - {name: a, max: \"1\", prometheus: {query: q}, versusStable: {maxRegression: \"1\", query: 'q{namespace=\"a\"}'}}\n"),
             Catch::StartsWith("-:6: warning: spec.gates[0].prometheus.query: selects q of"));
  const auto weights = [](const std::string& serving, const std::string& weight) {
    return linted(kModel.substr(0, kModel.find("spec")) + "spec: {serving: {" + serving + "}, rollout: {steps: [{weight: " +
                  weight + "}]}}\n").size();
  };
  CHECK(weights("replicas: 2", "5") == 1);
  CHECK(weights("replicas: 1", "10") == 1);
  CHECK(weights("replicas: 1", "25") == 0);
  CHECK(weights("replicas: 3", "25") == 0);
  CHECK(weights("replicas: 20", "5") == 0);
  CHECK(weights("replicas: 2, route: {parentRefs: [{name: gw}]}", "5") == 0);
}

TEST_CASE("plugin: what lint quotes from a file does not steer the terminal", "[plugin][lint]") {
  const Linted hostile = lint_of({"-"}, kModel.substr(0, kModel.find("spec")) +
                                            "spec: {track: \"a\\e[2Jb\\n-:1: fine\", \"\\u202efield\": 1}\n");
  CHECK(hostile.code == kNo);
  CHECK(std::count(hostile.out.begin(), hostile.out.end(), '\n') == 2);
  CHECK(hostile.out.find('\x1b') == std::string::npos);
  CHECK(hostile.out.find("\u202e") == std::string::npos);
  // Bytes that are no UTF-8 are a mistake, and no end of the program.
  CHECK(lint_of({"-"}, kModel.substr(0, kModel.find("spec")) + "spec: {track: \"a\x9b\xff\"}\n").code == kNo);
}

TEST_CASE("plugin: a kustomization is made by kubectl, else by kustomize", "[plugin][lint]") {
  Folder bin;
  const char* before = std::getenv("PATH");
  const std::string path = before ? before : "";
  ::setenv("PATH", bin.path().c_str(), 1);
  const auto read = [] {
    std::istringstream in;
    return read_files({{}, {"it's here"}}, in);
  };
  const auto program = [&](const std::string& name, const std::string& line) {
    std::filesystem::permissions(bin.write(name, "#!/bin/sh\n" + line + "\n"), std::filesystem::perms::owner_all);
  };
  CHECK(read().error().message == "-k it's here needs kubectl or kustomize on PATH");
  program("kustomize", R"([ "$*" = "build -- it's here" ] && printf 'apiVersion: modelops.dev/v1alpha1\nkind: Model\n')");
  CHECK(read()->ours.size() == 1);
  program("kubectl", R"([ "$*" = "kustomize -- it's here" ] && printf 'kind: Service\n')");
  CHECK(read()->ours.empty());
  CHECK(read()->others == 1);
  program("kubectl", "exit 1");
  CHECK(read().error().message == "-k it's here cannot be built");
  ::setenv("PATH", path.c_str(), 1);
}
