// What gates and monitors would have said of figures of the past, by the operator's own judgement. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/types.h"
#include "operator/core/plan.h"

namespace mo::plugin {

// What served for some time. {{stable}} is `stable` then, and {{candidate}} is `candidate`.
struct Period {
  std::string stable, stable_revision;
  std::string candidate, candidate_revision;
  TimePoint from{}, to{};  // without `to` itself
};

// What served between `from` and `to`, by the rollouts that succeeded; before the first of them what that one moved from.
// Without any, what serves now. Times when nothing served are left out. Both words are of the version that served.
std::vector<Period> periods_of(const api::Model& model, const std::vector<api::ModelRollout>& rollouts, TimePoint from,
                               TimePoint to);

// Answers of one period, in their order.
struct Recorded {
  Period period;
  std::vector<Answer> answers;
};

struct Breach {
  std::string version;
  TimePoint from{}, to{};
  enum class End { Recovered, Lasting, VersionGone } end = End::Lasting;  // Lasting: when the time that was looked at is over
  std::string worst;  // the figure farthest beyond its bound; without a bound, the last
};

// How a figure did.
struct Played {
  struct Value {
    TimePoint at{};
    Decimal value;
    bool failed = false;
  };
  std::vector<Value> values;
  size_t passed = 0, failed = 0, inconclusive = 0;  // measurements
  std::map<std::string, size_t> why_inconclusive;   // and why, numbers left out
  std::map<std::string, size_t> verdicts;           // of a gate: how often it was decided, each time from its first measurement
  std::vector<Breach> breaches;                     // of a monitor
  size_t measurements() const { return passed + failed + inconclusive; }
};

Played play(const api::Monitor& monitor, const std::vector<Recorded>& past);
// Once it is decided it begins anew, with the next measurement.
Played play(const api::Gate& gate, const std::vector<Recorded>& past);

// The figure below which lie so many per cent of all; nothing without figures.
std::optional<Decimal> quantile(const Played& played, int per_cent);

// One line: a column for each of `columns` equal spans between `from` and `to`, as high as the span's highest figure (or
// lowest, where a low one is bad) stands between the lowest and the highest of the line; "·" where there is none.
struct Chart {
  std::vector<std::string> cells;
  std::vector<bool> failed;  // some measurement of the span did
  std::optional<Decimal> low, high;
};
Chart chart_of(const Played& played, const api::Gate& figure, TimePoint from, TimePoint to, size_t columns);

}  // namespace mo::plugin
