// What Prometheus remembers of a Model's figures, for charts: made of the series that the operator exports, never of queries of Models' authors.
// Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "operator/core/time.h"
#include "report/html.h"
#include "report/portfolio.h"

namespace mo::report {

struct Span {
  const char *name, *words;
  Duration length, step;
};
// "1d", "7d", "30d", "90d". Of any other name the one of 7 days.
const std::vector<Span>& spans();
const Span& span_of(const std::string& name);

struct Point {  // what a figure was in the step that ends then
  TimePoint at{};
  double low = 0, mean = 0, high = 0;
};
using Track = std::vector<Point>;  // by time; steps that are missing have no data

struct Figures {
  std::string span;
  TimePoint from{}, to{};
  Duration step{};
  std::map<std::string, Track> monitors, gates;
  std::string problem;  // why nothing is known, for readers; empty: what there is, is all
  std::string detail;   // the same for those who run the site
};

// Each monitor's and each gate's figure against its target, with the changes of versions marked. `other_spans`: links to them.
void put_figures(Html& html, const Model& model, const Figures& figures, bool other_spans);

}  // namespace mo::report
