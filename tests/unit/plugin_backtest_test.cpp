// `kubectl model backtest`: answers of Prometheus' range API, judged as the operator judges.
#include <catch2/catch.hpp>

#include "operator/evidence/prometheus.h"
#include "plugin/backtest.h"
#include "tests/unit/plugin_cluster.h"

using namespace mo;
using namespace mo::plugin;
using namespace mo::plugin::test;
using Catch::Matchers::Contains;

namespace {

TimePoint at(int minutes) { return kNoon + std::chrono::minutes(minutes); }

api::Monitor drift(int bad_for, int recover_after) {
  api::Monitor m;
  m.figure.name = "drift";
  m.figure.prometheus_query = "drift{version=\"{{stable}}\"}";
  m.figure.max = Decimal::parse("0.2");
  m.figure.interval = std::chrono::minutes(1);
  m.bad_for = std::chrono::minutes(bad_for);
  m.recover_after = std::chrono::minutes(recover_after);
  return m;
}

// An answer each minute from `begin` on: "0.1 0.3 -".
Recorded recorded(const std::string& version, int begin, const std::string& values) {
  Recorded out{{version, "", version, "", at(begin), at(begin)}, {}};
  std::istringstream all(values);
  for (std::string value; all >> value; ++begin) {
    Answer answer;
    answer.at = at(begin);
    answer.value = value == "-" ? Reading{{}, "no data"} : Reading{Decimal::parse(value), ""};
    out.answers.push_back(answer);
  }
  out.period.to = at(begin);
  return out;
}

api::ModelRollout rollout(const std::string& from, const std::string& to, const std::string& phase, int finished) {
  api::ModelRollout r;
  r.version = to;
  r.status.from_version = from;
  r.status.phase = phase;
  r.status.finished = at(finished);
  return r;
}

std::vector<std::string> told(const std::vector<Period>& periods) {
  std::vector<std::string> all;
  for (const Period& p : periods)
    all.push_back(p.stable + " " + std::to_string((p.from - kNoon) / std::chrono::minutes(1)) + "-" +
                  std::to_string((p.to - kNoon) / std::chrono::minutes(1)));
  return all;
}

TEST_CASE("plugin: what served follows from the rollouts that succeeded", "[plugin][backtest]") {
  using Texts = std::vector<std::string>;
  api::Model model;
  CHECK(periods_of(model, {}, at(0), at(60)).empty());
  model.status.stable_version = "v3";
  CHECK(told(periods_of(model, {}, at(0), at(60))) == Texts{"v3 0-60"});
  const std::vector<api::ModelRollout> all = {rollout("v2", "v3", "Succeeded", 40), rollout("v1", "v2", "Succeeded", 10),
                                              rollout("v2", "v4", "RolledBack", 30)};
  CHECK(told(periods_of(model, all, at(0), at(60))) == Texts{"v1 0-10", "v2 10-40", "v3 40-60"});
  CHECK(told(periods_of(model, all, at(20), at(60))) == Texts{"v2 20-40", "v3 40-60"});
  CHECK(told(periods_of(model, {rollout("", "v1", "Succeeded", 10)}, at(0), at(60))) ==
        Texts{"v1 10-60"});  // nothing served before
}

TEST_CASE("plugin: a monitor breaches and recovers in the past as it does today", "[plugin][backtest]") {
  const Played played = play(drift(2, 1), {recorded("v1", 0, "0.1 0.3 0.3 0.4 0.3 0.1 0.1 0.3 0.1 - 0.1")});
  CHECK(played.passed == 5);
  CHECK(played.failed == 5);
  CHECK(played.inconclusive == 1);
  CHECK(played.why_inconclusive == std::map<std::string, size_t>{{"no data", 1}});
  REQUIRE(played.breaches.size() == 1);
  const Breach& breach = played.breaches[0];
  CHECK((breach.from == at(3) && breach.to == at(6) && breach.end == Breach::End::Recovered && breach.worst == "0.4" &&
         breach.version == "v1"));
  CHECK(play(drift(5, 1), {recorded("v1", 0, "0.3 0.3 0.3 0.1")}).breaches.empty());
}

TEST_CASE("plugin: a breach ends with the version that it is of, and one that lasts says so", "[plugin][backtest]") {
  const Played played = play(drift(0, 0), {recorded("v1", 0, "0.3 0.3"), recorded("v2", 2, "0.1 0.3 0.5")});
  REQUIRE(played.breaches.size() == 2);
  CHECK((played.breaches[0].end == Breach::End::VersionGone && played.breaches[0].to == at(2)));
  CHECK(
      (played.breaches[1].end == Breach::End::Lasting && played.breaches[1].from == at(3) && played.breaches[1].worst == "0.5"));
  // Another revision of the same version goes on with what is known.
  CHECK(play(drift(2, 0), {recorded("v1", 0, "0.3 0.3"), recorded("v1", 2, "0.3")}).breaches.size() == 1);
}

TEST_CASE("plugin: a gate is decided again and again, with its count and its limits", "[plugin][backtest]") {
  api::Gate gate;
  gate.name = "errors";
  gate.prometheus_query = "errors";
  gate.max = Decimal::parse("0.01");
  gate.count = 2;
  gate.failure_limit = 1;
  const Played played = play(gate, {recorded("v1", 0, "0 0  0.5 0.5  0 0.5 0  - 0 0")});
  CHECK(played.verdicts == std::map<std::string, size_t>{{"Failed", 1}, {"Passed", 3}});
  CHECK((played.passed == 6 && played.failed == 3 && played.inconclusive == 1));
  gate.inconclusive_limit = 0;
  CHECK(play(gate, {recorded("v1", 0, "- 0 0")}).verdicts == std::map<std::string, size_t>{{"Inconclusive", 1}, {"Passed", 1}});
}

TEST_CASE("plugin: a gate compares with what the other query said then", "[plugin][backtest]") {
  api::Gate gate;
  gate.name = "f1";
  gate.prometheus_query = "f1";
  gate.min = Decimal::parse("0.5");
  gate.versus_stable = api::Gate::VersusStable{"f1", *Decimal::parse("0.02"), {}, {}};
  gate.samples = api::Gate::Samples{"n", 100};
  Recorded past = recorded("v1", 0, "0.9 0.9 0.9");
  past.period.candidate = "v2";
  for (size_t i = 0; i < 3; ++i) past.answers[i].samples = {Decimal::parse(i == 2 ? "37" : "100"), ""};
  past.answers[0].stable = {Decimal::parse("0.91"), ""};
  past.answers[1].stable = {Decimal::parse("0.95"), ""};
  const Played played = play(gate, {past});
  CHECK(played.verdicts == std::map<std::string, size_t>{{"Failed", 1}, {"Passed", 1}});
  CHECK(played.why_inconclusive == std::map<std::string, size_t>{{"only # of # samples so far", 1}});
}

TEST_CASE("plugin: a chart shows the worst of each span, and where there is nothing", "[plugin][backtest]") {
  const Recorded past = recorded("v1", 0, "0 0.1 0.7 0.1 - - 0.35 0");
  const Played played = play(drift(0, 0), {past});
  const Chart chart = chart_of(played, drift(0, 0).figure, at(0), at(8), 4);
  CHECK(chart.cells == std::vector<std::string>{"▁", "█", "·", "▄"});
  CHECK(chart.failed == std::vector<bool>{false, true, false, true});
  CHECK((chart.low->to_string() == "0.1" && chart.high->to_string() == "0.7"));
  CHECK(quantile(played, 0)->to_string() == "0");
  CHECK(quantile(played, 50)->to_string() == "0.1");
  CHECK(quantile(played, 100)->to_string() == "0.7");
  CHECK_FALSE(quantile({}, 50));
}

TEST_CASE("plugin: how far back may be said in weeks and days", "[plugin][backtest]") {
  using std::chrono::hours;
  CHECK(past_span("30d") == hours(720));
  CHECK(past_span("2w") == hours(336));
  CHECK(past_span("1d12h") == hours(36));
  CHECK(past_span("90m") == std::chrono::minutes(90));
  for (const char* wrong : {"", "0", "0d", "d", "30", "-1d", "1x", "99999d", "30d5", "4000d", "0.1s"})
    CHECK_FALSE(past_span(wrong));
}

// ---- with a Prometheus that answers by what it is asked ----

struct CannedHttp : kube::HttpTransport {
  std::vector<kube::HttpRequest> requests;
  std::function<Result<kube::HttpResponse>(const kube::HttpRequest&)> answer;
  Result<kube::HttpResponse> send(const kube::HttpRequest& request, std::stop_token) override {
    requests.push_back(request);
    return answer(request);
  }
  Result<kube::HttpResponse> stream(const kube::HttpRequest&, const kube::LineSink&, std::stop_token) override {
    return fail(ErrorKind::Invalid, "not used");
  }

  static int64_t number(const std::string& target, const std::string& name) {
    return std::stoll(target.substr(target.find(name + "=") + name.size() + 1));
  }
};

// 0.1, but 0.5 for so many seconds up to noon.
std::string matrix(const std::string& target, int64_t bad) {
  const int64_t noon = std::chrono::floor<std::chrono::seconds>(kNoon.time_since_epoch()).count();
  Json values = Json::array();
  for (int64_t t = CannedHttp::number(target, "start"); t <= CannedHttp::number(target, "end");
       t += CannedHttp::number(target, "step"))
    values.push_back({t, t >= noon - bad ? "0.5" : "0.1"});
  return Json{{"status", "success"},
              {"data", {{"resultType", "matrix"}, {"result", {{{"metric", Json::object()}, {"values", values}}}}}}}
      .dump();
}

struct Said {
  int code;
  std::string out, err;
};
struct Scene : ClusterClient {
  CannedHttp http;
  Json model = model_named("m");
  Scene() {
    model["spec"]["monitors"] = {{{"name", "drift"},
                                  {"prometheus", {{"query", "drift{version=\"{{stable}}\"}"}}},
                                  {"max", "0.2"},
                                  {"interval", "30s"},
                                  {"for", "2m"}}};
    http.answer = [](const kube::HttpRequest& r) { return kube::HttpResponse{200, {}, matrix(r.target, 600)}; };
  }
  Said test(Backtesting asked, const std::string& input = "") {
    objects[Kind::Model] = {model};
    Printed printed;
    Session session = printed.session(*this);
    std::istringstream in(input);
    if (asked.model.empty() && asked.sources.names.empty()) asked.model = "m";
    if (asked.url.empty()) asked.url = "http://prometheus:9090/";
    const int code = backtest(session, asked, in, http);
    return {code, printed.out.str(), printed.err.str()};
  }
};

TEST_CASE("plugin: a backtest asks for what served and shows when it would have breached", "[plugin][backtest]") {
  Scene scene;
  Json moved = rollout_of("m", "m-v1-1", "Succeeded");
  moved["spec"]["version"] = "m-v1";
  moved["status"]["fromVersion"] = "m-v0";
  moved["status"]["finishedAt"] = "2026-11-22T11:30:00Z";
  scene.objects[Kind::ModelRollout] = {moved};
  const Said said = scene.test({.since = "1h"});
  CHECK(said.code == kNo);
  REQUIRE(scene.http.requests.size() == 2);
  CHECK_THAT(scene.http.requests[0].target, Contains("/api/v1/query_range?") && Contains("m-v0") && Contains("step=30"));
  CHECK_THAT(scene.http.requests[1].target, Contains("m-v1"));
  CHECK_THAT(said.out, Contains("2026-11-22T11:00:00Z to 2026-11-22T11:30:00Z: m-v0 is {{stable}} and {{candidate}}") &&
                           Contains("breached 1x, 7m30s in all") && Contains("█") && Contains("2026-11-22T11:52:00Z") &&
                           Contains("lasts"));
  const Json told = *parse_json(scene.test({.since = "1h", .output = "json"}).out, 1 << 20);
  CHECK(told[0]["figures"][0]["measurements"] == Json{{"passed", 100}, {"failed", 20}, {"inconclusive", 0}});
  CHECK(told[0]["figures"][0]["breaches"][0]["worst"] == "0.5");
  CHECK(told[0]["served"].size() == 2);
}

TEST_CASE("plugin: monitors of sets are tested too, those of the files first", "[plugin][backtest]") {
  Scene scene;
  const auto set = [](const std::string& most) {
    return Json{{"apiVersion", "modelops.dev/v1alpha1"},
                {"kind", "ModelGateSet"},
                {"metadata", {{"name", "shared"}, {"namespace", "ns"}}},
                {"spec", {{"monitors", {{{"name", "bias"}, {"prometheus", {{"query", "bias{version=\"{{stable}}\"}"}}}, {"max", most}}}}}}};
  };
  scene.model["spec"]["monitors"] = Json::array();
  scene.model["spec"]["monitorSets"] = {{{"name", "shared"}, {"kind", "ModelGateSet"}}};
  CHECK_THAT(scene.test({.since = "1h"}).err, Contains("ModelGateSet shared does not exist"));
  scene.objects[Kind::ModelGateSet] = {set("0.2")};
  const Said said = scene.test({.since = "1h"});
  CHECK(said.code == kNo);
  CHECK_THAT(said.out, Contains("bias") && Contains("max 0.2") && Contains("breached 1x"));
  Backtesting asked{.since = "1h"};
  asked.sources.names = {"-"};
  Json model = scene.model;
  model.erase("status");
  CHECK_THAT(scene.test(asked, set("0.6").dump() + "\n---\n" + model.dump()).out, Contains("max 0.6"));
}

TEST_CASE("plugin: questions are bounded, and asked in parts", "[plugin][backtest]") {
  Scene scene;
  CHECK_THAT(scene.test({.since = "30d"}).out, Contains("is measured every 9m here, not every 30s"));
  CHECK(scene.http.requests.size() == 1);
  scene.http.requests.clear();
  scene.test({.since = "7d", .step = "30s"});
  REQUIRE(scene.http.requests.size() == 3);
  for (const auto& request : scene.http.requests)
    CHECK((CannedHttp::number(request.target, "end") - CannedHttp::number(request.target, "start")) / 30 <
          evidence::kMostMoments);
  const Said said = scene.test({.since = "30d", .step = "1s"});
  CHECK(said.code == kTrouble);
  CHECK_THAT(said.err,
             Contains("--step 1s over that time is 2592001 measurements of each figure; at most 200000 are allowed"));
}

TEST_CASE("plugin: what cannot be tested says why", "[plugin][backtest]") {
  Scene scene;
  CHECK_THAT(scene.test({.since = "yesterday"}).err, Contains("--since yesterday is not a duration such as 30d"));
  CHECK_THAT(scene.test({.step = "0"}).err, Contains("--step 0 is not a duration"));
  CHECK_THAT(scene.test({.model = "n"}).err, Contains("not found"));
  scene.http.answer = [](const auto&) {
    return kube::HttpResponse{400, {}, R"({"status":"error","errorType":"bad_data","error":"parse error"})"};
  };
  Said said = scene.test({});
  CHECK(said.code == kTrouble);
  CHECK_THAT(said.out,
             Contains("unknown") && Contains("! monitor drift: Prometheus refused the query: bad_data: parse error"));
  scene.http.answer = [](const auto&) -> Result<kube::HttpResponse> { return fail(ErrorKind::Transport, "connection refused"); };
  said = scene.test({});
  CHECK(said.code == kTrouble);
  CHECK_THAT(said.err, Contains("cannot reach Prometheus at http://prometheus:9090: connection refused"));
  scene.model["status"].erase("stableVersion");
  CHECK_THAT(scene.test({}).out, Contains("none served in that time: set one with --stable"));
  scene.http.answer = [](const kube::HttpRequest& r) { return kube::HttpResponse{200, {}, matrix(r.target, 0)}; };
  CHECK(scene.test({.stable = "m-v7"}).code == kDone);
  CHECK_THAT(scene.http.requests.back().target, Contains("m-v7"));
  scene.model["spec"].erase("monitors");
  CHECK_THAT(scene.test({}).err, Contains("has no gate or monitor that queries Prometheus"));
  Printed printed;
  Session session = printed.session(scene);
  std::istringstream in;
  CHECK(backtest(session, {.model = "m"}, in, scene.http) == kTrouble);
  CHECK_THAT(printed.err.str(), Contains("--prometheus-url"));
}

TEST_CASE("plugin: a file's gates are tested on what serves under its name", "[plugin][backtest]") {
  Scene scene;
  const Json file = {{"apiVersion", "modelops.dev/v1alpha1"},
                     {"kind", "Model"},
                     {"metadata", {{"name", "m"}}},
                     {"spec",
                      {{"version", "m-v2"},
                       {"rollout",
                        {{"gates",
                          {{{"name", "errors"},
                            {"prometheus", {{"query", "e{v=\"{{candidate}}\"}"}}},
                            {"max", "0.2"},
                            {"interval", "1m"},
                            {"count", 3}},
                           {{"name", "recorded"}, {"version", {{"metric", "f1"}}}, {"min", "0.9"}}}},
                         {"steps", {{{"weight", 50}}, {{"gates", {"errors", "recorded"}}}}}}}}}};
  Backtesting asked{.since = "1h", .candidate = "m-v9"};
  asked.sources.names = {"-"};
  const Said said = scene.test(asked, file.dump());
  CHECK(said.code == kNo);
  CHECK_THAT(scene.http.requests.back().target, Contains("m-v9"));
  CHECK_THAT(said.out, Contains("passed 16x, failed 10x") && Contains("! gate recorded reads a metric of a ModelVersion") &&
                           Contains("m-v9 is {{candidate}}"));
  Json wrong = file;
  wrong["spec"]["rollout"]["gates"][0]["interval"] = "never";
  CHECK_THAT(scene.test(asked, wrong.dump()).err, Contains("spec.rollout.gates[0].interval"));
  asked.ns_given = true;
  Json elsewhere = file;
  elsewhere["metadata"]["namespace"] = "other";
  CHECK_THAT(scene.test(asked, elsewhere.dump()).err, Contains("differs from -n ns"));
}

TEST_CASE("plugin: several series at one moment are none", "[plugin][backtest]") {
  const auto past = evidence::past_of(200, R"({"status":"success","data":{"resultType":"matrix","result":[
    {"metric":{},"values":[[10,"1"],[20,"2"]]},{"metric":{"a":"b"},"values":[[20.000,"3"],[30,"NaN"]]}]}})");
  CHECK(past.problem.empty());
  CHECK(past.at.at(10).value == Decimal::parse("1"));
  CHECK_THAT(past.at.at(20).problem, Contains("2 series"));
  CHECK_THAT(past.at.at(30).problem, Contains("NaN"));
  CHECK_THAT(evidence::past_of(200, R"({"status":"success","data":{"resultType":"vector","result":[]}})").problem,
             Contains("range API"));
  CHECK_THAT(evidence::past_of(422, R"({"status":"error","errorType":"execution","error":"query timed out"})").problem,
             Contains("query timed out"));
  CHECK_THAT(evidence::past_of(200, "{\"sta").problem, Contains("cut off or is not JSON"));
  for (const char* odd : {R"([1])", R"([[1]])", R"([["x","1"]])", R"([[1e400,"1"]])", R"([{"values":[1,[],["a"],[1,2]]}])"})
    CHECK_NOTHROW(
        evidence::past_of(200, R"({"status":"success","data":{"resultType":"matrix","result":)" + std::string(odd) + "}}"));
}

}  // namespace
