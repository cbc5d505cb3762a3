// What people see: the tree, line by line.
#include <algorithm>
#include <catch2/catch.hpp>
#include <sstream>

#include "plugin/fields.h"
#include "plugin/follow.h"
#include "plugin/show.h"
#include "plugin/tree.h"

using namespace mo;
using namespace mo::plugin;

namespace {

const TimePoint kNoon = *parse_time("2026-11-22T12:00:00Z");

Json pod(const std::string& version, bool ready) {
  return {{"metadata", {{"labels", {{"modelops.dev/version", version}}}}},
          {"status", {{"conditions", {{{"type", "Ready"}, {"status", ready ? "True" : "False"}}}}}}};
}

Json conditions(const std::string& ready, const std::string& stalled) {
  return Json::parse(R"([{"type":"Ready","status":")" + ready + R"("},{"type":"Stalled","status":")" +
                     stalled + R"("}])");
}

Snapshot canary() {
  Snapshot s;
  s.model = Json::parse(R"({
    "metadata": {"name": "fraud", "namespace": "payments", "generation": 3},
    "spec": {"version": "fraud-v2", "retraining": {}},
    "status": {"observedGeneration": 3, "phase": "Progressing", "message": "ModelRollout fraud-v2-3 to fraud-v2: measuring",
      "stableVersion": "fraud-v1", "candidateVersion": "fraud-v2",
      "traffic": [{"version": "fraud-v1", "weight": 90}, {"version": "fraud-v2", "weight": 10}],
      "retraining": {"lastRun": "fraud-run-000041", "lastResult": "Registered: fraud-v2, ModelRollout fraud-v2-3",
                     "nextScheduled": "2026-11-23T02:00:00Z"}}})");
  s.model["status"]["conditions"] = conditions("False", "False");
  for (const auto& [name, phase] : {std::pair("fraud-v1", "Serving"), std::pair("fraud-v2", "Candidate")})
    s.versions.push_back({{"metadata", {{"name", name}}}, {"status", {{"phase", phase}}}});
  for (int i = 0; i < 9; ++i) s.pods.push_back(pod("fraud-v1", i > 0));
  s.pods.push_back(pod("fraud-v2", true));
  s.rollouts.push_back(Json::parse(R"json({
    "metadata": {"name": "fraud-v2-3", "uid": "u", "generation": 1},
    "spec": {"version": "fraud-v2"},
    "status": {"observedGeneration": 1, "phase": "Progressing", "message": "measuring at step 3/5 (gates accuracy, latency)",
      "fromVersion": "fraud-v1", "step": {"index": 3, "count": 5}, "stepSummary": "3/5",
      "weights": {"stable": 90, "candidate": 10}, "startedAt": "2026-11-22T11:50:00Z", "stepStartedAt": "2026-11-22T11:59:00Z",
      "gates": [{"name": "accuracy", "verdict": "Passed", "value": "0.951", "stableValue": "0.95", "passed": 3, "failed": 0, "inconclusive": 0},
                {"name": "latency", "verdict": "Running", "passed": 0, "failed": 0, "inconclusive": 1, "message": "no data"}],
      "policy": {
        "steps": [{"weight": 10}, {"pause": {"duration": "5m"}}, {"gates": ["accuracy", "latency"]}, {"weight": 50}, {"pause": {}}],
        "gates": [{"name": "accuracy", "prometheus": {"query": "x"}, "min": "0.92", "count": 3,
                   "versusStable": {"query": "y", "maxRegression": "0.005", "samplesQuery": "s", "confidence": "0.95"}, "samples": {"query": "z", "min": 200}},
                  {"name": "latency", "prometheus": {"query": "x"}, "max": "0.1"}]}}})json"));
  return s;
}

std::string drawn(const Snapshot& s, const DisplayOptions& display = {}) {
  std::string all;
  for (const std::string& line : render(s, kNoon, display)) all += line + "\n";
  return all;
}

}  // namespace

TEST_CASE("plugin: the tree of a canary that is being measured", "[plugin]") {
  CHECK(drawn(canary()) == R"tree(Model payments/fraud  Progressing
├─ ModelRollout fraud-v2-3 to fraud-v2: measuring
├─ Versions
│  ├─ fraud-v1   90%  8/9 pods ready  Serving
│  └─ fraud-v2   10%  1/1 pods ready  Candidate
├─ ModelRollout fraud-v2-3 (fraud-v1 -> fraud-v2)  Progressing  step 3/5  10%
│  ├─ measuring at step 3/5 (gates accuracy, latency)
│  ├─ ✔ 1 weight 10
│  ├─ ✔ 2 pause 5m
│  ├─ ▶ 3 gates accuracy, latency
│  │  ├─ ✔ accuracy 0.951 (stable 0.95)  (min 0.92, at most 0.005 worse than stable at confidence 0.95, 200 samples)  Passed 3/3
│  │  └─ … latency  (max 0.1)  Running 0/1, 1 inconclusive: no data
│  ├─ · 4 weight 50
│  ├─ · 5 pause
│  └─ · 6 all traffic
└─ Retraining: last: fraud-run-000041: Registered: fraud-v2, ModelRollout fraud-v2-3; next in 14h
)tree");
}

TEST_CASE("plugin: monitors with state, figure, bounds, since when, and why", "[plugin]") {
  Snapshot s = canary();
  s.model["spec"]["monitors"] = Json::parse(R"([{"name": "drift", "max": "0.2"}, {"name": "accuracy", "min": "0.9"}, {"name": "cost", "min": "1", "max": "5"}])");
  s.model["status"]["monitors"] = Json::parse(R"([
    {"name": "accuracy", "state": "OK", "value": "0.95", "since": "2026-11-22T11:00:00Z"},
    {"name": "drift", "state": "Breached", "value": "0.31", "since": "2026-11-22T11:50:00Z", "message": "0.31 is above max 0.2"}])");
  CHECK_THAT(drawn(s), Catch::Contains(R"tree(├─ Monitors
│  ├─ drift  Breached  0.31  (max 0.2)  since 10m: 0.31 is above max 0.2
│  ├─ accuracy  OK  0.95  (min 0.9)  since 60m
│  └─ cost  not measured yet  (min 1, max 5)
└─ Retraining: )tree"));
  CHECK_THAT(drawn(s, {.colour = false, .ticking = false}), Catch::Contains("(min 0.9)  since 2026-11-22T11:00:00Z\n"));
  // Of sets, one of which is required in place of the Model's own.
  s.model["status"]["monitors"][0]["set"] = "ClusterModelGateSet/org";
  s.model["status"]["monitors"].push_back({{"name", "bias"}, {"set", "ModelGateSet/shared"}, {"state", "NoData"}});
  CHECK_THAT(drawn(s), Catch::Contains("│  ├─ accuracy  OK  0.95  since 60m\n") && Catch::Contains("│  └─ bias  NoData\n"));
}

TEST_CASE("plugin: what is left of a pause and of a deadline", "[plugin]") {
  Snapshot s = canary();
  Json& status = s.rollouts[0]["status"];
  status["step"]["index"] = 2;
  CHECK_THAT(drawn(s), Catch::Contains("▶ 2 pause 5m  4m left\n"));
  CHECK_THAT(drawn(s, {.colour = false, .ticking = false}),
             Catch::Contains("▶ 2 pause 5m  until 2026-11-22T12:04:00Z\n"));
  status["step"]["index"] = 5;
  CHECK_THAT(drawn(s), Catch::Contains("▶ 5 pause  waits for resume\n"));
  status["step"]["index"] = 4;
  status["waitingSince"] = "2026-11-22T11:59:00Z";
  CHECK_THAT(drawn(s), Catch::Contains("▶ 4 weight 50  deadline: 9m left\n"));
  status["step"]["index"] = 6;
  CHECK_THAT(drawn(s),
             Catch::Contains("✔ 5 pause\n") && Catch::Contains("▶ 6 all traffic  deadline: 9m left\n"));
  status["pausedAt"] = "2026-11-22T11:58:00Z";
  s.rollouts[0]["spec"]["desiredState"] = "Paused";
  CHECK_THAT(drawn(s),
             Catch::Contains("10%  asked: Paused\n") && Catch::Contains("all traffic  paused since 2m\n"));
}

TEST_CASE("plugin: a bake, gates that watch, dry runs, warm versions", "[plugin]") {
  Snapshot s = canary();
  s.model["status"]["warmVersions"] = {"fraud-v0"};
  s.pods.push_back(pod("fraud-v0", true));
  Json& status = s.rollouts[0]["status"];
  status["phase"] = "Baking";
  status["step"]["index"] = 3;
  status["bakingSince"] = "2026-11-22T11:50:00Z";
  status["policy"]["strategy"] = "BlueGreen";
  status["policy"]["steps"] = Json::parse(R"([{"background": ["latency"]}, {"weight": 100}])");
  status["policy"]["bake"] = {{"duration", "30m"}, {"gates", {"accuracy"}}};
  status["policy"]["gates"][1]["dryRun"] = true;
  status["gates"][1]["passed"] = 4;
  const std::string tree = drawn(s);
  CHECK_THAT(tree, Catch::Contains("fraud-v0    0%  1/1 pods ready  warm\n"));
  CHECK_THAT(tree, Catch::Contains("step 3/5  10%  BlueGreen\n"));
  CHECK_THAT(tree, Catch::Contains(R"tree(│  ├─ ✔ 1 watch latency
│  │  └─ … latency  (max 0.1)  Running 4 passed, 1 inconclusive (dry run): no data
│  ├─ ✔ 2 weight 100
│  ├─ ✔ 3 all traffic
│  └─ ▶ 4 bake 30m  20m left
│     └─ ✔ accuracy 0.951)tree"));
}

TEST_CASE("plugin: a rollback shows where it failed, a success needs no steps", "[plugin]") {
  Snapshot s = canary();
  Json& status = s.rollouts[0]["status"];
  status["phase"] = "RolledBack";
  status["finishedAt"] = "2026-11-22T11:00:00Z";
  status["gates"][1] = {{"name", "latency"},
                        {"verdict", "Failed"},
                        {"value", "0.3"},
                        {"passed", 0},
                        {"failed", 1},
                        {"inconclusive", 0},
                        {"message", "0.3 is above max 0.1"}};
  CHECK_THAT(drawn(s),
             Catch::Contains("RolledBack  60m ago\n") && Catch::Contains("✖ 3 gates accuracy, latency\n") &&
                 Catch::Contains("✖ latency 0.3  (max 0.1)  Failed 0/1, 1 failed: 0.3 is above max 0.1\n"));
  status["phase"] = "Succeeded";
  CHECK_THAT(drawn(s), !Catch::Contains("weight 10"));
}

TEST_CASE("plugin: colours only where asked for, and never the only sign", "[plugin]") {
  CHECK(drawn(canary()).find('\x1b') == std::string::npos);
  std::string coloured = drawn(canary(), {.colour = true, .ticking = true});
  CHECK(coloured.find("\x1b[33mProgressing\x1b[0m") != std::string::npos);
  for (size_t at; (at = coloured.find('\x1b')) != std::string::npos;)
    coloured.erase(at, coloured.find('m', at) - at + 1);
  CHECK(coloured == drawn(canary()));
}

// A status message may hold the end of a candidate's termination log: it could clear the screen, set the
// window's title, or draw a line that says Succeeded.
TEST_CASE("plugin: what others wrote does not steer the terminal", "[plugin]") {
  const std::string hostile =
      "a\x1b[2Jb\x07"
      "c\x7f"
      "d\u009b31me\nf\tg\rh é…";
  const std::string shown = "a?[2Jb?c?d?31me f g h é…";
  CHECK(printable(hostile) == shown);
  // Marks that turn the direction of text, and bytes that are no UTF-8.
  CHECK(printable(std::string("a\u202eb\u2066c\u200fd\u2028e")) == "a?b?c?d?e");
  CHECK(printable(std::string("a\x9b\xc3\xed\xa0\x80\xf5z€\xe2\x82")) == "a??????z€??");
  Snapshot s = canary();
  s.model["status"]["message"] = hostile;
  s.rollouts[0]["status"]["message"] = hostile;
  s.rollouts[0]["status"]["gates"][1]["message"] = hostile;
  s.versions[0]["status"]["phase"] = hostile;
  const size_t lines = render(canary(), kNoon, {}).size();
  REQUIRE(render(s, kNoon, {}).size() == lines);
  const std::string tree = drawn(s);
  CHECK(static_cast<size_t>(std::count(tree.begin(), tree.end(), '\n')) == lines);
  CHECK(tree.find('\x1b') == std::string::npos);
  CHECK_THAT(tree, Catch::Contains("├─ " + shown + "\n") && Catch::Contains(": " + shown + "\n") &&
                       Catch::Contains("ready  " + shown + "\n"));
  std::ostringstream table;
  print_table(table, {"NAME", "X"}, {{hostile, "x"}});
  CHECK_THAT(table.str(), Catch::Contains("\n" + shown + "   x\n"));
  std::ostringstream raw;  // scripts get what is there
  print_objects(raw, {s.model}, "json", false);
  CHECK(Json::parse(raw.str()) == s.model);
}

TEST_CASE("plugin: a Model that is new or half read is drawn, too", "[plugin]") {
  Snapshot s;
  s.model = {{"metadata", {{"name", "m"}, {"generation", 1}}}, {"spec", Json::object()}};
  CHECK(drawn(s) ==
        "Model m    (the operator has not observed the latest change yet)\n└─ Versions: no version serves\n");
  s.rollouts.push_back({{"metadata", {{"name", "r"}}},
                        {"spec", {{"version", "v"}}},
                        {"status", {{"phase", "Pending"}, {"gates", "?"}, {"startedAt", 7}}}});
  s.pods.push_back({{"metadata", {{"labels", {{"modelops.dev/version", 5}}}}}});
  s.model["status"] = {{"traffic", {1, nullptr}}};
  CHECK_FALSE(drawn(s).empty());
}

TEST_CASE("plugin: at rest only when nothing more will happen by itself", "[plugin]") {
  Snapshot s = canary();
  CHECK_FALSE(at_rest(s));
  s.rollouts[0]["status"]["phase"] = "Succeeded";
  s.model["status"]["conditions"] = conditions("True", "False");
  CHECK(at_rest(s) == kDone);
  s.model["status"]["conditions"] = conditions("False", "True");
  CHECK(at_rest(s) == kNo);
  s.model["metadata"]["generation"] = 4;  // an edit that the operator has not seen
  CHECK_FALSE(at_rest(s));
  s.model["metadata"]["generation"] = 3;
  Json fresh = {{"metadata", {{"name", "fraud-v2-retry-1"}, {"generation", 1}}},
                {"spec", {{"version", "fraud-v2"}}},
                {"status", {{"observedGeneration", -1}, {"phase", "Pending"}}}};
  s.rollouts.insert(s.rollouts.begin(), fresh);
  CHECK_FALSE(at_rest(s));
  s.rollouts[0]["status"]["observedGeneration"] = 1;
  s.rollouts[0]["status"]["conditions"] =
      conditions("False", "True");  // it waits for a version that is not there
  CHECK(at_rest(s) == kNo);
}

TEST_CASE("plugin: only news is printed where nothing can be drawn over", "[plugin]") {
  CHECK(news({}, {"a", "b"}) == std::vector<std::string>{"a", "b"});
  CHECK(news({"a", "b"}, {"a", "b"}).empty());
  CHECK(news({"a", "b", "b"}, {"b", "c", "b", "b"}) == std::vector<std::string>{"c", "b"});
}

TEST_CASE("plugin: lines are cut as they show", "[plugin]") {
  CHECK(cut("├─ abc", 4) == "├─ a");
  CHECK(cut("abc", 3) == "abc");
  CHECK(cut("\x1b[31mabc\x1b[0m def", 5) == "\x1b[31mabc\x1b[0m d\x1b[0m");
  CHECK(cut("\x1b[31mabc\x1b[0m", 3) == "\x1b[31mabc\x1b[0m");
}

TEST_CASE("plugin: ages as kubectl writes them", "[plugin]") {
  using namespace std::chrono_literals;
  CHECK(age(119s) == "119s");
  CHECK(age(330s) == "5m30s");
  CHECK(age(600s) == "10m");
  CHECK(age(3h + 5min) == "3h5m");
  CHECK(age(47h) == "47h");
  CHECK(age(49h) == "2d1h");
  CHECK(age(24h * 800) == "2y70d");
}
