// Charts of figures over time.
#include <catch2/catch.hpp>

#include "report/figures.h"
#include "report/pages.h"
#include "tests/unit/report_make.h"

using namespace mo;
using namespace mo::report;
using namespace mo::report::test;
using Catch::Matchers::Contains;
using std::chrono::hours;

namespace {

Portfolio whole() {
  Collector c;
  c.add("Model", model());
  c.add("ModelVersion", version("fraud-v2"));
  Json r = rollout("r2", "fraud-v1", "fraud-v2", "Succeeded", "2026-11-20T06:00:00Z");
  r["status"]["policy"] = {{"gates", {{{"name", "accuracy"}, {"min", "0.9"}}}}};
  c.add("ModelRollout", r);
  return std::move(c).finish(kNow, "all namespaces");
}

Figures week() {
  Figures f;
  f.span = "7d";
  f.to = kNow;
  f.from = kNow - hours(24 * 7);
  f.step = hours(1);
  return f;
}

std::string page(const Figures& f) {
  const Portfolio p = whole();
  return model_page(p, p.models[0], &f);
}

}  // namespace

TEST_CASE("a monitor's figure is drawn against its target, with what changed and what is not known", "[report]") {
  Figures f = week();
  Track& track = f.monitors["drift"];
  for (int i = 1; i <= 168; ++i)
    if (i < 40 || i > 80) track.push_back({f.from + hours(i), 0.05, 0.06, i > 160 ? 0.3 : 0.07});
  const std::string text = page(f);
  CHECK_THAT(text, Contains("Figures over time") && Contains("class=\"trace\"") && Contains("class=\"target\""));
  CHECK_THAT(text, Contains("Wanted: at most 0.2") && Contains("Outside its target in 8 of 127 steps of 1 h."));
  CHECK_THAT(text, Contains(">no data</text>") && Contains("No data in 41 of 168 steps."));
  CHECK_THAT(text, Contains("→ v2") && Contains("fraud-v2 served from 2026-11-20 06:00 on."));
  CHECK_THAT(text, Contains("href=\"?span=30d\"") && Contains("href=\"?span=7d\" aria-current"));
  // What a gate said is known from its rollout, whether or not Prometheus has it.
  CHECK_THAT(text, Contains("Gates of rollouts in that time") && Contains("Passed in 1 of 1 rollouts; the last said 0.97."));
}

TEST_CASE("a Prometheus that is away or knows nothing is told, and is no good news", "[report]") {
  Figures f = week();
  CHECK_THAT(page(f), Contains("No data for this time."));
  f.problem = "Prometheus could not be reached";
  f.detail = "http://user@prometheus.internal";
  CHECK_THAT(page(f), Contains("<p class=\"gap\">Prometheus could not be reached</p>") && !Contains("internal") && Contains("the last said 0.97"));
  CHECK_THAT(model_page(whole(), whole().models[0]), !Contains("Figures over time"));
}

TEST_CASE("charts of odd figures are drawn all the same", "[report]") {
  Figures f = week();
  SECTION("one point") { f.monitors["drift"] = {{f.from + hours(3), 0, 0, 0}}; }
  SECTION("all the same") {
    for (int i = 1; i < 100; ++i) f.monitors["drift"].push_back({f.from + hours(i), 0.2, 0.2, 0.2});
  }
  SECTION("huge") { f.monitors["drift"] = {{f.from + hours(3), -1e308, 1, 1e308}, {f.from + hours(4), 1, 1, 1}}; }
  const std::string text = page(f);
  CHECK_THAT(text, Contains("class=\"target\"") && !Contains("nan") && !Contains("inf"));
}
