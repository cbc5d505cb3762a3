#include "report/figures.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <set>

#include "report/svg.h"
#include "report/tables.h"

namespace mo::report {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr size_t kChartsShown = 40, kChangesNamed = 12;
constexpr double kWidth = 380, kHeight = 178, kLeft = 54, kRight = 8, kTop = 22, kBottom = 24;

std::string figure(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

std::string day_and_minute(TimePoint t) {
  const std::string text = format_time(t);
  return text.substr(0, 10) + " " + text.substr(11, 5);
}

// More than a chart has room for; anybody may make as many rollouts as they like.
constexpr size_t kMarks = 100;
template <class T>
void keep_newest(std::vector<T>& marks) {
  if (marks.size() > kMarks) marks.erase(marks.begin(), marks.end() - kMarks);
}

struct Change {  // of what serves, or an attempt at it that ended badly
  TimePoint at{};
  std::string version, word;  // word: its name without the Model's, where it begins with that
  bool bad = false;
};
std::vector<Change> changes_of(const Model& m, const Figures& f) {
  std::vector<Change> changes;
  for (const Rollout& r : m.rollouts)
    if (r.finished && *r.finished >= f.from && *r.finished <= f.to && (r.phase == "Succeeded" || r.failed()))
      changes.push_back({*r.finished, r.to, r.to.size() > m.name.size() + 1 && r.to.starts_with(m.name + "-") ? r.to.substr(m.name.size() + 1) : r.to, r.failed()});
  std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) { return a.at < b.at; });
  keep_newest(changes);
  return changes;
}

struct Dot {  // what a gate said last in a rollout
  TimePoint at{};
  double value = 0;
  bool passed = false;
};

// One chart, and the sentence below it that says the same in words.
struct Chart {
  std::string name;
  std::optional<double> min, max;
  std::string target;  // in words
  Track track;
  std::vector<Dot> dots;
};

// From values to the place on the picture.
class Scale {
 public:
  Scale(const Chart& c, const Figures& f) : from_(f.from), span_(std::max(1.0, static_cast<double>((f.to - f.from).count()))) {
    std::vector<double> all;
    for (const Point& p : c.track) all.insert(all.end(), {p.low, p.high});
    for (const Dot& d : c.dots) all.push_back(d.value);
    for (const auto& bound : {c.min, c.max})
      if (bound) all.push_back(*bound);
    low = drawn(*std::min_element(all.begin(), all.end()));
    high = drawn(*std::max_element(all.begin(), all.end()));
    const bool positive = low >= 0;
    const double room = std::max({(high - low) * 0.15, std::abs(high) * 0.02, 1e-9});
    low = positive ? std::max(0.0, low - room) : low - room;
    high += room;
  }
  double x(TimePoint t) const { return kLeft + (kWidth - kLeft - kRight) * static_cast<double>((t - from_).count()) / span_; }
  double y(double v) const { return kHeight - kBottom - (kHeight - kBottom - kTop) * (drawn(v) - low) / (high - low); }
  // Round values, two to five of them.
  std::vector<double> ticks() const {
    const double ten = std::pow(10.0, std::floor(std::log10((high - low) / 2)));
    double step = ten;
    for (const double times : {2.0, 5.0})
      if ((high - low) / (ten * times) >= 2) step = ten * times;
    std::vector<double> all;
    for (double k = std::ceil(low / step); k * step <= high && all.size() < 6; ++k) all.push_back(k * step);
    return all;
  }
  double low = 0, high = 1;

 private:
  // The difference of two of them is still a number.
  static double drawn(double v) { return std::clamp(v, -1e150, 1e150); }
  TimePoint from_;
  double span_;
};

void path_to(Html& h, bool first, double x, double y) {
  if (first) h << "M";
  else h << "L";
  h.number(x) << " ";
  h.number(y);
}

// Parts without a gap.
std::vector<std::pair<size_t, size_t>> runs_of(const Track& track, Duration step) {
  std::vector<std::pair<size_t, size_t>> runs;
  for (size_t i = 0; i < track.size(); ++i) {
    if (i == 0 || track[i].at - track[i - 1].at > step * 3 / 2) runs.emplace_back(i, i);
    runs.back().second = i + 1;
  }
  return runs;
}

void put_run(Html& h, const Track& track, std::pair<size_t, size_t> run, const Scale& s) {
  const auto [begin, end] = run;
  if (end - begin == 1) {
    svg::line(h, s.x(track[begin].at), s.y(track[begin].low), s.x(track[begin].at), s.y(track[begin].high), "trace");
    return svg::dot(h, s.x(track[begin].at), s.y(track[begin].mean), "spot", 2);
  }
  h << "<path class=\"swing\" d=\"";
  for (size_t i = begin; i < end; ++i) path_to(h, i == begin, s.x(track[i].at), s.y(track[i].high));
  for (size_t i = end; i-- > begin;) path_to(h, false, s.x(track[i].at), s.y(track[i].low));
  h << "Z\"/><path class=\"trace\" d=\"";
  for (size_t i = begin; i < end; ++i) path_to(h, i == begin, s.x(track[i].at), s.y(track[i].mean));
  h << "\"/>";
}

void put_gap(Html& h, double from, double to) {
  if (to - from < 6) return;
  svg::rect(h, from, kTop, to - from, kHeight - kBottom - kTop, "nodata", 0);
  if (to - from > 52) svg::write(h, (from + to) / 2, kHeight - kBottom - 8, "no data", "soft", "middle");
}

void put_ground(Html& h, const Chart& c, const Figures& f, const Scale& s) {
  const double top = c.max ? s.y(*c.max) : kTop, bottom = c.min ? s.y(*c.min) : kHeight - kBottom;
  if (c.min || c.max) svg::rect(h, kLeft, top, kWidth - kLeft - kRight, bottom - top, "target", 0);
  for (const double value : s.ticks()) {
    svg::line(h, kLeft, s.y(value), kWidth - kRight, s.y(value));
    svg::write(h, kLeft - 6, s.y(value) + 4, figure(value), "soft", "end");
  }
  for (const auto& bound : {c.min, c.max})
    if (bound) svg::line(h, kLeft, s.y(*bound), kWidth - kRight, s.y(*bound), "bound");
  for (int i = 0; i <= 2; ++i) {
    const TimePoint t = f.from + (f.to - f.from) * i / 2;
    const std::string text = f.to - f.from > hours(48) ? format_time(t).substr(5, 5) : format_time(t).substr(5, 11);
    std::string shown = text;
    std::replace(shown.begin(), shown.end(), 'T', ' ');
    svg::write(h, s.x(t), kHeight - 7, shown, "soft", i == 0 ? "start" : i == 2 ? "end" : "middle");
  }
}

void put_changes(Html& h, const std::vector<Change>& changes, const Scale& s) {
  double free = kLeft;
  for (const Change& c : changes) {
    const double x = s.x(c.at);
    svg::line(h, x, kTop - 4, x, kHeight - kBottom, c.bad ? "change badchange" : "change");
    const std::string text = (c.bad ? "✕ " : "→ ") + svg::shortened(c.word, 14);
    const double wide = 6.4 * static_cast<double>(std::min<size_t>(c.word.size(), 15) + 3);
    const double at = std::min(x, kWidth - kRight - wide);
    if (at < free) continue;
    svg::write(h, at, kTop - 9, text, "soft");
    free = at + wide;
  }
}

void put_picture(Html& h, const Chart& c, const Figures& f, const std::vector<Change>& changes) {
  const Scale s(c, f);
  svg::open(h, kWidth, kHeight,
            c.name + " from " + day_and_minute(f.from) + " to " + day_and_minute(f.to) + (c.target.empty() ? "" : ", wanted " + c.target));
  put_ground(h, c, f, s);
  const auto runs = runs_of(c.track, f.step);
  // Gates are asked during rollouts alone: between these there is nothing to know.
  if (c.dots.empty() && !runs.empty()) {
    double end = s.x(f.from);
    for (const auto& run : runs) {
      put_gap(h, end, s.x(c.track[run.first].at - f.step));
      end = s.x(c.track[run.second - 1].at);
    }
    put_gap(h, end, s.x(f.to - f.step));
  }
  put_changes(h, changes, s);
  for (const auto& run : runs) put_run(h, c.track, run, s);
  for (const Dot& d : c.dots) svg::dot(h, s.x(d.at), s.y(d.value), d.passed ? "spot good" : "spot bad", 4);
  svg::close(h);
}

bool outside(const Chart& c, double low, double high) { return (c.min && low < *c.min) || (c.max && high > *c.max); }

std::string in_words(const Chart& c, const Figures& f) {
  std::string text;
  if (!c.track.empty()) {
    double low = c.track.front().low, high = c.track.front().high;
    size_t out = 0;
    for (const Point& p : c.track) {
      low = std::min(low, p.low);
      high = std::max(high, p.high);
      out += outside(c, p.low, p.high);
    }
    const auto steps = static_cast<size_t>(std::max<int64_t>(1, (f.to - f.from) / f.step));
    const size_t known = std::min(c.track.size(), steps);
    text = "From " + figure(low) + " to " + figure(high) + ", last " + figure(c.track.back().mean) + ". ";
    if (c.min || c.max)
      text += out ? "Outside its target in " + std::to_string(out) + " of " + std::to_string(known) + " steps of " + length(f.step) + ". "
                  : std::string("Never outside its target. ");
    if (c.dots.empty() && known + 1 < steps) text += "No data in " + std::to_string(steps - known) + " of " + std::to_string(steps) + " steps. ";
  }
  if (!c.dots.empty()) {
    const auto passed = std::count_if(c.dots.begin(), c.dots.end(), [](const Dot& d) { return d.passed; });
    text += "Passed in " + std::to_string(passed) + " of " + std::to_string(c.dots.size()) + " rollouts; the last said " +
            figure(c.dots.back().value) + ". ";
  }
  return text;
}

void put_chart(Html& h, const Chart& c, const Figures& f, const std::vector<Change>& changes) {
  h << "<div class=\"card\"><h3>";
  h.text(c.name) << "</h3>";
  if (!c.target.empty()) {
    h << "<p class=\"more\">Wanted: ";
    h.text(c.target) << "</p>";
  }
  if (c.track.empty() && c.dots.empty()) {
    h << "<p class=\"unknown\">No data for this time.</p>";
  } else {
    put_picture(h, c, f, changes);
    h << "<p class=\"more\">";
    h.text(in_words(c, f)) << "</p>";
  }
  h << "</div>";
}

std::vector<Chart> monitor_charts(const Model& m, const Figures& f) {
  std::vector<Chart> charts;
  for (const Monitor& monitor : m.monitors) {
    Chart c{monitor.name, svg::number_in(monitor.min), svg::number_in(monitor.max), range(monitor.min, monitor.max), {}, {}};
    if (const auto it = f.monitors.find(monitor.name); it != f.monitors.end()) c.track = it->second;
    charts.push_back(std::move(c));
  }
  return charts;
}

// Gates of the rollouts of that time; their bounds are those of the newest.
std::vector<Chart> gate_charts(const Model& m, const Figures& f) {
  std::map<std::string, Chart> charts;
  for (const Rollout& r : m.rollouts) {
    const TimePoint when = r.finished.value_or(f.to);
    if (!r.started || when < f.from || *r.started > f.to) continue;
    for (const Gate& gate : r.gates) {
      auto [it, added] = charts.try_emplace(gate.name, Chart{gate.name, svg::number_in(gate.min), svg::number_in(gate.max), gate.bound, {}, {}});
      const auto value = svg::number_in(gate.value);
      if (r.finished && value) it->second.dots.push_back({when, *value, gate.verdict == "Passed"});
    }
  }
  std::vector<Chart> all;
  for (auto& [name, chart] : charts) {
    if (const auto it = f.gates.find(name); it != f.gates.end()) chart.track = it->second;
    std::sort(chart.dots.begin(), chart.dots.end(), [](const Dot& a, const Dot& b) { return a.at < b.at; });
    keep_newest(chart.dots);
    all.push_back(std::move(chart));
  }
  return all;
}

void put_spans(Html& h, const Figures& f) {
  h << "<nav class=\"files\" aria-label=\"How far back figures are shown\">";
  for (const Span& span : spans()) {
    h << "<a";
    h.attribute("href", std::string("?span=") + span.name);
    if (f.span == span.name) h << " aria-current=\"true\"";
    h << ">";
    h.text(span.words) << "</a>";
  }
  h << "</nav>";
}

void put_charts(Html& h, const std::vector<Chart>& charts, const Figures& f, const std::vector<Change>& changes) {
  h << "<div class=\"grid charts\">";
  for (size_t i = 0; i < std::min(charts.size(), kChartsShown); ++i) put_chart(h, charts[i], f, changes);
  h << "</div>";
}

void put_changes_in_words(Html& h, const std::vector<Change>& changes) {
  if (changes.empty()) return;
  h << "<p class=\"more\">";
  const size_t first = changes.size() > kChangesNamed ? changes.size() - kChangesNamed : 0;
  for (size_t i = first; i < changes.size(); ++i) {
    const Change& c = changes[i];
    h.text((i > first ? "; " : "") + c.version + (c.bad ? " was rolled back " : " served from ") + day_and_minute(c.at) + (c.bad ? "" : " on"));
  }
  h << ".</p>";
}

}  // namespace

const std::vector<Span>& spans() {
  static const std::vector<Span> all = {{"1d", "1 day", hours(24), minutes(10)},
                                        {"7d", "7 days", hours(24 * 7), hours(1)},
                                        {"30d", "30 days", hours(24 * 30), hours(4)},
                                        {"90d", "90 days", hours(24 * 90), hours(12)}};
  return all;
}

const Span& span_of(const std::string& name) {
  const auto it = std::find_if(spans().begin(), spans().end(), [&](const Span& s) { return name == s.name; });
  return it == spans().end() ? spans()[1] : *it;
}

void put_figures(Html& h, const Model& m, const Figures& f, bool other_spans) {
  const auto monitors = monitor_charts(m, f), gates = gate_charts(m, f);
  if (monitors.empty() && gates.empty()) return;
  h << "<h2>Figures over time</h2>";
  if (other_spans) put_spans(h, f);
  if (!f.problem.empty()) {
    h << "<p class=\"gap\">";
    h.text(f.problem) << "</p>";
  }
  const auto changes = changes_of(m, f);
  put_changes_in_words(h, changes);
  if (f.problem.empty() && !monitors.empty()) put_charts(h, monitors, f, changes);
  if (!gates.empty()) {
    h << "<h3>Gates of rollouts in that time</h3>";
    put_charts(h, gates, f, changes);
  }
}

}  // namespace mo::report
