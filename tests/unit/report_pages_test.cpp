#include <algorithm>
#include <catch2/catch.hpp>
#include <regex>

#include "report/pages.h"
#include "tests/unit/report_make.h"

using namespace mo;
using namespace mo::report;
using namespace mo::report::test;

namespace {

const std::string kEvil = "\"><script>alert(1)</script><img src=x onerror='a'>&{{x}}\xE2\x80\xAE";

// Every text that people write, each a piece of mischief.
Json poisoned(Json object) {
  if (object.is_string() && !parse_time(object.get<std::string>())) return object.get<std::string>() + kEvil;
  if (object.is_structured())
    for (Json& part : object) part = poisoned(std::move(part));
  return object;
}

Portfolio whole(bool evil) {
  Collector c;
  Json m = model();
  m["spec"]["monitors"].push_back({{"name", "accuracy"}, {"min", "0.9"}});
  m["status"]["monitors"].push_back({{"name", "accuracy"}, {"state", "Breached"}, {"value", "0.8"}, {"message", "0.8 is below 0.9"}});
  const std::vector<std::pair<const char*, Json>> objects = {
      {"Model", m},
      {"ModelVersion", version("fraud-v2")},
      {"ModelVersion", version("fraud-v3", "c", "fraud", false)},
      {"ModelRollout", rollout("r2", "fraud-v1", "fraud-v2", "Succeeded", "2026-11-12T06:00:00Z")},
      {"ModelRollout", rollout("r3", "fraud-v2", "fraud-v3", "RolledBack", "2026-11-13T06:00:00Z")},
      {"TrainingRun", {{"metadata", meta("run-1")}, {"spec", {{"modelRef", {{"name", "fraud"}}}}}, {"status", {{"phase", "Succeeded"}}}}},
      {"ModelApproval",
       {{"metadata", meta("a")}, {"spec", {{"rolloutRef", {{"name", "r2"}}}, {"role", "risk"}, {"decision", "Approved"}, {"approver", "jane"}}}}},
      {"Pod", pod("hidden", "vllm/vllm-openai:1")}};
  for (const auto& [kind, object] : objects) {
    Json o = evil ? poisoned(object) : object;
    if (evil && o.contains("spec") && o["spec"].contains("modelRef")) o["spec"]["modelRef"]["name"] = "fraud" + kEvil;
    if (evil) o["metadata"]["namespace"] = "pay" + kEvil;
    if (evil && std::string(kind) == "Model") {
      o["status"]["stableVersion"] = "fraud-v2" + kEvil;
      o["status"]["phase"] = "Degraded" + kEvil;
    }
    c.add(kind, o);
  }
  if (evil) c.gap("no " + kEvil);
  c.pods_were_read();
  Portfolio p = std::move(c).finish(kNow, "all namespaces");
  Workload w;
  w.ns = p.models[0].ns;
  w.model = p.models[0].name;
  w.version = w.deployment = evil ? kEvil : "fraud-v2";
  w.pods = 2;
  w.devices[evil ? kEvil : "nvidia.com/gpu"] = 1;
  take_workloads(p, {w});
  p.usage_problem = evil ? kEvil : "";
  return p;
}

std::vector<std::string> pages_of(const Portfolio& p) {
  Figures figures;
  figures.to = kNow;
  figures.from = kNow - std::chrono::hours(24 * 7);
  figures.step = std::chrono::hours(1);
  for (const Monitor& monitor : p.models[0].monitors) figures.monitors[monitor.name] = {{kNow - std::chrono::hours(9), 0.1, 0.2, 0.3}, {kNow, 0.1, 0.2, 0.3}};
  const auto of = [&](const Model&) { return figures; };
  return {portfolio_page(p, {}), model_page(p, p.models[0]), model_page(p, p.models[0], &figures), delivery_page(p), compliance_page(p), resources_page(p),
          activity_page(p), missing_page(), one_file(p, of)};
}

size_t count_of(const std::string& text, const std::string& what) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("what hostile authors write is only text", "[report]") {
  for (const std::string& page : pages_of(whole(true))) {
    CHECK(page.find("<script") == std::string::npos);
    CHECK(page.find("<img") == std::string::npos);
    CHECK(page.find("\xE2\x80\xAE") == std::string::npos);
    // Within tags there is nothing of theirs but quoted attributes, whose quotes are escaped.
    CHECK(page.find("'a'") == std::string::npos);
    CHECK(page.find("\"><") == page.find("\"><"));
  }
}

TEST_CASE("pages are well formed: what is opened is closed, in order", "[report]") {
  static const std::set<std::string> kVoid = {"meta", "link", "input", "br", "!DOCTYPE"};
  for (const bool evil : {false, true})
    for (const std::string& page : pages_of(whole(evil))) {
      std::vector<std::string> open;
      const std::regex tag("<(/?)([!A-Za-z0-9]+)((?:[^\">]|\"[^\"]*\")*)>");
      for (std::sregex_iterator it(page.begin(), page.end(), tag), end; it != end; ++it) {
        const std::string name = (*it)[2], rest = (*it)[3];
        if ((*it)[1] == "/") {
          REQUIRE_FALSE(open.empty());
          REQUIRE(open.back() == name);
          open.pop_back();
        } else if (!kVoid.contains(name) && !rest.ends_with("/")) {
          open.push_back(name);
        }
      }
      CHECK(open.empty());
    }
}

TEST_CASE("nothing comes from elsewhere, and nothing runs", "[report]") {
  for (const std::string& page : pages_of(whole(false))) {
    CHECK(page.find("http://") == std::string::npos);
    CHECK(page.find("src=") == std::string::npos);
    CHECK(page.find("@import") == std::string::npos);
    CHECK(page.find("javascript:") == std::string::npos);
    CHECK(page.find(" style=") == std::string::npos);  // a strict policy would drop it
    CHECK(page.find(" onclick") == std::string::npos);
    CHECK(page.find("<html lang=\"en\">") != std::string::npos);
  }
}

TEST_CASE("the one file leads to its own parts alone", "[report]") {
  const std::string file = one_file(whole(false));
  const std::regex href("href=\"([^\"]*)\"");
  for (std::sregex_iterator it(file.begin(), file.end(), href), end; it != end; ++it) {
    const std::string target = (*it)[1];
    REQUIRE(target.starts_with("#"));
    INFO(target);
    CHECK(count_of(file, "id=\"" + target.substr(1) + "\"") == 1);
  }
  CHECK(file.find("<style>") != std::string::npos);
}

TEST_CASE("a page says what it does not know", "[report]") {
  Collector c;
  Json bare = {{"metadata", meta("bare")}, {"spec", Json::object()}, {"status", {{"phase", "Ready"}, {"stableVersion", "bare-v1"}}}};
  c.add("Model", bare);
  c.gap("ModelRollouts could not be read");
  const Portfolio p = std::move(c).finish(kNow, "namespace pay");
  CHECK(portfolio_page(p, {}).find("ModelRollouts could not be read") != std::string::npos);
  const std::string page = model_page(p, p.models[0]);
  CHECK(page.find("<dt>Since</dt><dd><span class=\"unknown\">unknown</span>") != std::string::npos);
  CHECK(page.find("<dt>Owner</dt><dd><span class=\"unknown\">unknown</span>") != std::string::npos);
  CHECK(delivery_page(p).find("unknown") != std::string::npos);
}

TEST_CASE("a cluster without a Model is told how to begin", "[report]") {
  const Portfolio p = Collector().finish(kNow, "all namespaces");
  CHECK(portfolio_page(p, {}).find("There is no Model yet") != std::string::npos);
  CHECK(one_file(p).find("kubectl model lint") != std::string::npos);
}

TEST_CASE("a filter is read from a query, and what it cannot read is passed over", "[report]") {
  const Filter f = filter_of("q=card%20fraud&tier=high&page=2&refresh=3&other=1&team=a%26b");
  CHECK(f.text == "card fraud");
  CHECK(f.tier == "high");
  CHECK(f.team == "a&b");
  CHECK(f.page == 2);
  CHECK(f.refresh == 15);
  CHECK(filter_of("page=99999999999999&refresh=-1&q").page == 1);
  CHECK(filter_of(std::string(100000, '&')).page == 1);
  CHECK(filter_of("q=%zz%4").text == "%zz%4");
}

TEST_CASE("ten thousand Models are found and paged", "[report]") {
  Collector c;
  for (int i = 0; i < 10000; ++i) c.add("Model", model("m" + std::to_string(i), "ns" + std::to_string(i % 50)));
  const Portfolio p = std::move(c).finish(kNow, "all namespaces");
  Filter f = filter_of("q=m77");
  CHECK(filtered(p, f).size() == 111);
  f.page = 2;
  const std::string page = portfolio_page(p, f);
  CHECK(page.find("Page 2 of 2") != std::string::npos);
  CHECK(page.size() < 200000);
  f.page = 5000;
  CHECK(portfolio_page(p, f).size() < 200000);
}
