#include "plugin/backtest_play.h"

#include <algorithm>
#include <cmath>

#include "reconcilers/monitors/monitors.h"
#include "reconcilers/measure/compare.h"
#include "reconcilers/measure/gates.h"

namespace mo::plugin {
namespace {

using State = api::MonitorStatus::State;

// "only # of # samples so far": one reason, however far it was.
std::string without_numbers(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    const bool within = digit || (c == '.' && !out.empty() && out.back() == '#');
    if (!within) out += c;
    if (digit && (out.empty() || out.back() != '#')) out += '#';
  }
  return out;
}

bool low_is_bad(const api::Gate& figure) { return figure.min && !figure.max; }

// By how much a figure is beyond its bounds.
Decimal beyond(const api::Gate& figure, const Decimal& value) {
  Decimal most = *Decimal::parse("-1e40");
  if (figure.min) most = std::max(most, *figure.min - value);
  if (figure.max) most = std::max(most, value - *figure.max);
  return most;
}

void count(Played& out, const api::Measurement& m, const std::string& message) {
  if (m.verdict == "Inconclusive") {
    ++out.inconclusive;
    ++out.why_inconclusive[without_numbers(message)];
  } else {
    ++(m.verdict == "Passed" ? out.passed : out.failed);
  }
  if (const auto value = Decimal::parse(m.value)) out.values.push_back({m.at, *value, m.verdict == "Failed"});
}

// The breach that is under way, if one is.
class Breaches {
 public:
  Breaches(const api::Gate& figure, std::vector<Breach>& all) : figure_(figure), all_(all) {}

  void take(const api::MonitorStatus& now, const measure::Measured& measured, TimePoint at) {
    const bool breached = now.state == State::Breached;
    if (breached && !open_) {
      all_.push_back({now.version, at, at, Breach::End::Lasting, ""});
      open_ = true;
    }
    if (!open_) return;
    all_.back().to = at;
    if (!breached) return end(at, Breach::End::Recovered);
    const auto value = Decimal::parse(measured.value), worst = Decimal::parse(all_.back().worst);
    if (value && (!worst || beyond(figure_, *value) > beyond(figure_, *worst))) all_.back().worst = measured.value;
  }

  void end(TimePoint at, Breach::End how) {
    if (!open_) return;
    all_.back().to = at;
    all_.back().end = how;
    open_ = false;
  }

 private:
  const api::Gate& figure_;
  std::vector<Breach>& all_;
  bool open_ = false;
};

}  // namespace

std::vector<Period> periods_of(const api::Model& model, const std::vector<api::ModelRollout>& rollouts, TimePoint from,
                               TimePoint to) {
  std::vector<const api::ModelRollout*> moves;
  for (const api::ModelRollout& r : rollouts)
    if (r.status.phase == "Succeeded" && r.status.finished) moves.push_back(&r);
  std::sort(moves.begin(), moves.end(), [](const auto* a, const auto* b) { return *a->status.finished < *b->status.finished; });
  std::vector<Period> all;
  const auto add = [&](const std::string& version, const std::optional<api::Revision>& revision, TimePoint begin, TimePoint end) {
    begin = std::max(begin, from);
    end = std::min(end, to);
    const std::string label = revision ? revision->label() : "";
    if (!version.empty() && begin < end) all.push_back({version, label, version, label, begin, end});
  };
  if (moves.empty()) add(model.status.stable_version, model.status.stable_revision, from, to);
  for (size_t i = 0; i < moves.size(); ++i) {
    const api::RolloutStatus& s = moves[i]->status;
    const bool last = i + 1 == moves.size();
    if (i == 0) add(s.from_version, s.from_revision, from, *s.finished);
    add(moves[i]->version, s.revision, *s.finished, last ? to : *moves[i + 1]->status.finished);
  }
  return all;
}

Played play(const api::Monitor& monitor, const std::vector<Recorded>& past) {
  Played out;
  Breaches breaches(monitor.figure, out.breaches);
  std::string version;
  api::MonitorStatus state;
  for (const Recorded& recorded : past) {
    if (recorded.period.stable != version) {
      breaches.end(recorded.period.from, Breach::End::VersionGone);
      version = recorded.period.stable;
      state = monitors::begin(monitor.figure.name, version, recorded.period.from);
    }
    for (const Answer& answer : recorded.answers) {
      const measure::Measured measured = measure::judge_figure(monitor.figure, answer);
      using Verdict = measure::Measured::Verdict;
      const char* word = measured.verdict == Verdict::Good  ? "Passed"
                         : measured.verdict == Verdict::Bad ? "Failed"
                                                            : "Inconclusive";
      count(out, {answer.at, measured.value, word}, measured.message);
      state = monitors::take_in(monitor, state, measured, answer.at);
      breaches.take(state, measured, answer.at);
    }
  }
  return out;
}

Played play(const api::Gate& gate, const std::vector<Recorded>& past) {
  Played out;
  for (const Recorded& recorded : past) {
    measure::GateContext context;
    context.stable = recorded.period.stable;
    context.candidate = recorded.period.candidate;
    api::GateStatus status;
    for (const Answer& answer : recorded.answers) {
      status = measure::take_answer(gate, status, answer, context);
      // A verdict drops the message of a failure that it tolerated; that one is no reason of being inconclusive.
      count(out, status.measurements.back(), status.message);
      if (status.verdict == "Running") continue;
      ++out.verdicts[status.verdict];
      status = {};
    }
  }
  return out;
}

std::optional<Decimal> quantile(const Played& played, int per_cent) {
  if (played.values.empty()) return {};
  std::vector<Decimal> all;
  for (const Played::Value& v : played.values) all.push_back(v.value);
  const size_t at = (all.size() - 1) * static_cast<size_t>(per_cent) / 100;
  std::nth_element(all.begin(), all.begin() + static_cast<long>(at), all.end());
  return all[at];
}

Chart chart_of(const Played& played, const api::Gate& figure, TimePoint from, TimePoint to, size_t columns) {
  static constexpr const char* kBars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  constexpr int kHighest = 7;
  Chart chart;
  chart.failed.assign(columns, false);
  std::vector<std::optional<Decimal>> shown(columns);
  const Duration span = std::max(to - from, Duration(1));
  for (const Played::Value& v : played.values) {
    const size_t i =
        std::min(columns - 1, static_cast<size_t>((v.at - from).count() * static_cast<int64_t>(columns) / span.count()));
    if (!shown[i] || (low_is_bad(figure) ? v.value < *shown[i] : v.value > *shown[i])) shown[i] = v.value;
    if (v.failed) chart.failed[i] = true;
  }
  for (const auto& value : shown) {
    if (!value) continue;
    if (!chart.low || *value < *chart.low) chart.low = value;
    if (!chart.high || *value > *chart.high) chart.high = value;
  }
  for (const auto& value : shown) {
    const double range = value ? measure::to_double(*chart.high - *chart.low) : 0;
    const double share = range > 0 ? measure::to_double(*value - *chart.low) / range : 0;
    chart.cells.emplace_back(value ? kBars[std::clamp(static_cast<int>(std::lround(share * kHighest)), 0, kHighest)] : "·");
  }
  return chart;
}

}  // namespace mo::plugin
