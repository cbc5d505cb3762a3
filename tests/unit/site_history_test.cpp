// What Prometheus is asked for reports, and what is made of its answers.
#include <catch2/catch.hpp>

#include "operator/core/percent.h"
#include "operator/site/server.h"
#include "report/live/history.h"
#include "tests/unit/report_make.h"

using namespace mo;
using namespace mo::report;
using Catch::Matchers::Contains;
using report::test::kNow;

namespace {

struct Prometheus : kube::HttpTransport {
  std::vector<std::string> asked;
  Result<kube::HttpResponse> answer = kube::HttpResponse{200, {}, R"({"status":"success","data":{"resultType":"matrix","result":[]}})"};
  Result<kube::HttpResponse> send(const kube::HttpRequest& request, std::stop_token) override {
    CHECK(request.deadline <= std::chrono::seconds(5));
    asked.push_back(request.target + request.body);
    return answer;
  }
  Result<kube::HttpResponse> stream(const kube::HttpRequest&, const kube::LineSink&, std::stop_token) override { return fail(ErrorKind::Invalid, "not used"); }
};

struct Setting {
  Prometheus http;
  History history{{"http://prom:9090", {{"cluster", "a\"b"}}}, http};
  Figures week(const std::string& ns = "pay") { return history.figures(ns, "fraud", span_of("7d"), kNow, {}); }
};

std::string series(const std::string& labels, const std::string& samples) { return R"({"metric":{)" + labels + R"(},"values":[)" + samples + "]}"; }

}  // namespace

TEST_CASE("figures are asked for by namespace, name and cluster, in one query of bounded length", "[report]") {
  Setting s;
  s.week();
  REQUIRE(s.http.asked.size() == 1);
  const std::string& asked = s.http.asked[0];
  CHECK_THAT(asked, Contains("modelops_monitor_value") && Contains("modelops_gate_value"));  // as operator/serve/model_metrics.cpp has them
  CHECK_THAT(asked, Contains("/api/v1/query_range") && Contains(percent_encoded("namespace=\"pay\",model=\"fraud\",cluster=\"a\\\"b\"")));
  CHECK_THAT(asked, Contains("step=3600") && Contains("timeout=3s"));
  const auto number = [&](const std::string& name) { return std::stoll(asked.substr(asked.find(name + "=") + name.size() + 1)); };
  CHECK((number("end") - number("start")) / 3600 == 167);
  // Once a minute, whoever reads.
  s.week();
  CHECK(s.http.asked.size() == 1);
  s.week("other");
  CHECK(s.http.asked.size() == 2);
}

TEST_CASE("lowest, mean and highest of each step come together, and other series are passed over", "[report]") {
  Setting s;
  const std::string drift = R"("monitor":"drift","of":)";
  s.http.answer = kube::HttpResponse{200, {},
                                     R"({"status":"success","data":{"resultType":"matrix","result":[)" + series(drift + "\"high\"", R"([100,"3"],[200,"NaN"],[300,"5"])") + "," +
                                         series(drift + "\"low\"", R"([100,"1"],[300,"1"])") + "," + series(drift + "\"mean\"", R"([100,"2"],[300,"2"])") + "," +
                                         series(R"("gate":"f1","of":"mean")", R"([100,"0.9"])") + "," + series(R"("of":"mean")", R"([100,"7"])") + "]}}"};
  const Figures f = s.week();
  CHECK(f.problem.empty());
  const Track& track = f.monitors.at("drift");
  REQUIRE(track.size() == 2);
  CHECK((track[0].low == 1 && track[0].mean == 2 && track[0].high == 3 && track[1].high == 5));
  CHECK(f.gates.at("f1").size() == 1);
}

TEST_CASE("while Prometheus is away nobody waits for it again", "[report]") {
  Setting s;
  s.http.answer = fail(ErrorKind::Transport, "refused by prom.internal");
  Figures f = s.week();
  CHECK_THAT(f.problem, Contains("could not be reached") && !Contains("internal"));
  CHECK_THAT(f.detail, Contains("refused"));
  f = s.week("other");
  CHECK_THAT(f.problem, Contains("could not be reached"));
  CHECK(s.http.asked.size() == 1);
  std::vector<Workload> workloads(1);
  CHECK_THAT(s.history.usage(workloads, {}), Contains("could not be reached"));
  CHECK(s.http.asked.size() == 1);
  // One that refuses a query is there.
  Setting there;
  there.http.answer = kube::HttpResponse{422, {}, R"({"status":"error","errorType":"execution","error":"too many samples"})"};
  CHECK_THAT(there.week().problem, Contains("no answer that can be used"));
  there.week("other");
  there.week();
  CHECK(there.http.asked.size() == 2);
}

TEST_CASE("what pods use is asked of the namespaces of Models alone, some at once", "[report]") {
  Setting s;
  std::vector<Workload> workloads;
  for (int i = 0; i < 90; ++i) {
    Workload w;
    w.ns = "ns" + std::to_string(i);
    w.deployment = "d";
    workloads.push_back(w);
  }
  s.http.answer = kube::HttpResponse{
      200, {}, R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{"namespace":"ns3","workload":"d"},"value":[1,"0.5"]},
        {"metric":{"namespace":"kube-system","workload":"d"},"value":[1,"9"]}]}})"};
  CHECK(s.history.usage(workloads, {}) == "");
  CHECK(s.http.asked.size() == 12);  // three times CPU and memory, used and asked for
  CHECK(workloads[3].cpu_used == 0.5);
  CHECK(workloads[3].memory_told == 0.5);
  CHECK_FALSE(workloads[3].cost_hour);
  CHECK_FALSE(workloads[4].cpu_used);
  for (const std::string& asked : s.http.asked) CHECK_THAT(asked, Contains(percent_encoded("namespace=~\"ns")) && Contains("cluster"));
}

TEST_CASE("OpenCost's costs are asked for where they are declared, by what containers have and what its node costs", "[report]") {
  Prometheus http;
  History history({"http://prom:9090", {{"cluster", "a"}}, true}, http);
  std::vector<Workload> workloads(2);
  for (size_t i = 0; i < workloads.size(); ++i) workloads[i].ns = "pay", workloads[i].deployment = "d" + std::to_string(i);
  workloads[1].devices = {{"nvidia.com/gpu", 1}};
  http.answer = kube::HttpResponse{200, {}, R"({"status":"success","data":{"resultType":"vector","result":[{"metric":{"namespace":"pay","workload":"d0"},"value":[1,"0.5"]}]}})"};
  CHECK(history.usage(workloads, {}) == "");
  REQUIRE(http.asked.size() == 7);
  CHECK(workloads[0].cost_hour == 1.5);  // each query answers 0.5
  CHECK_FALSE(workloads[1].cost_hour);
  for (const char* series : {"container_cpu_allocation", "container_memory_allocation_bytes", "container_gpu_allocation", "node_cpu_hourly_cost", "node_ram_hourly_cost", "node_gpu_hourly_cost"})
    CHECK(std::any_of(http.asked.begin(), http.asked.end(), [&](const std::string& asked) { return asked.find(series) != std::string::npos; }));
  for (const std::string& asked : http.asked) CHECK_THAT(asked, Contains(percent_encoded("cluster=\"a\"")));
}

TEST_CASE("labels of this cluster are checked", "[report]") {
  CHECK(read_label("cluster=prod-eu").value() == std::pair<std::string, std::string>("cluster", "prod-eu"));
  for (const char* text : {"", "cluster", "=x", "a=", "1a=b", "a-b=c", "a{=c"}) CHECK_FALSE(read_label(text));
}

TEST_CASE("nobody's figures are asked for but those of Models that the reader may see", "[report]") {
  Collector c;
  c.add("Model", test::model());
  c.add("Model", test::model("secret", "research"));
  const Portfolio theirs = only(std::move(c).finish(kNow, "all namespaces"), {"pay"});
  std::vector<std::string> asked;
  const site::FiguresOf figures = [&](const Model& m, const Span& span) {
    asked.push_back(m.ns + "/" + m.name + " " + span.name);
    return Figures{};
  };
  CHECK(site::answer(theirs, "/models/research/secret", "", figures).status == 404);
  CHECK(site::answer(theirs, "/models/pay/fraud", "span=30d", figures).status == 200);
  CHECK(site::answer(theirs, "/models/pay/fraud", "span=%22}evil", figures).status == 200);
  CHECK(asked == std::vector<std::string>{"pay/fraud 30d", "pay/fraud 7d"});
}
