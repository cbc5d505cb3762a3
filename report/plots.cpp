#include "report/plots.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "operator/core/text.h"
#include "report/svg.h"
#include "report/tables.h"

namespace mo::report {
namespace {

using svg::line;
using svg::rect;
using svg::shortened;
using svg::Size;
using svg::write;

constexpr size_t kTimeLineRows = 12;

const char* css_of(const Rollout& r) {
  if (r.phase == "Succeeded") return "bar";
  if (r.failed()) return "barbad";
  return r.over() ? "bardim" : "bar2";
}

void legend(Html& html, bool under_way = false) {
  html << "<ul class=\"legend\"><li><i class=\"i-bar\"></i>through</li><li><i class=\"i-barbad\"></i>rolled back or failed</li>"
          "<li><i class=\"i-bardim\"></i>aborted or superseded</li>";
  if (under_way) html << "<li><i class=\"i-bar2\"></i>under way</li>";
  html << "</ul>";
}

}  // namespace

void put_bars(Html& html, const std::string& title, std::vector<Share> shares, size_t most) {
  std::stable_sort(shares.begin(), shares.end(), [](const Share& a, const Share& b) { return a.count > b.count; });
  const bool summed = shares.size() > most;
  if (summed) {
    Share others{"others", 0};
    for (size_t i = most - 1; i < shares.size(); ++i) others.count += shares[i].count;
    shares.resize(most - 1);
    shares.push_back(others);
  }
  size_t largest = 1;
  for (const Share& share : shares) largest = std::max(largest, share.count);
  // Lengths are shares of the card's width, so that letters keep their size in each.
  const double row = 26, left = 50, longest = 38;
  const auto of_width = [](double x) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f%%", x);
    return std::string(text);
  };
  html << "<div class=\"plot\"><svg class=\"bars\" role=\"img\" width=\"100%\" height=\"";
  html.number(row * static_cast<double>(shares.size())) << "\"";
  html.attribute("aria-label", title) << "><title>";
  html.text(title) << "</title>";
  for (size_t i = 0; i < shares.size(); ++i) {
    const double y = row * static_cast<double>(i), length = std::max(longest * static_cast<double>(shares[i].count) / static_cast<double>(largest), 0.8);
    const bool named = !shares[i].name.empty() && !(summed && i + 1 == shares.size());
    const auto text = [&](double x, const char* css, const char* anchor, double dx, const std::string& words) {
      html << "<text";
      html.attribute("x", of_width(x)).attribute("dx", std::to_string(static_cast<int>(dx))).attribute("class", css).attribute("text-anchor", anchor) << " y=\"";
      html.number(y + 17) << "\">";
      html.text(words) << "</text>";
    };
    text(left, named ? "" : "soft", "end", -8, shortened(shares[i].name.empty() ? "not set" : shares[i].name, 15));
    html << "<rect height=\"14\" rx=\"3\"";
    html.attribute("x", of_width(left)).attribute("width", of_width(length)).attribute("class", named ? "bar" : "bardim") << " y=\"";
    html.number(y + 6) << "\"/>";
    text(left + length, "soft", "start", 6, std::to_string(shares[i].count));
  }
  svg::close(html);
}

void put_weeks(Html& html, const std::vector<Week>& weeks) {
  size_t largest = 1;
  for (const Week& week : weeks) largest = std::max(largest, week.succeeded + week.failed + week.stopped);
  const double width = 1120, height = 210, left = 34, bottom = 26, top = 10;
  const double step = (width - left) / static_cast<double>(std::max<size_t>(weeks.size(), 1));
  const double unit = (height - bottom - top) / static_cast<double>(largest);
  svg::open(html, width, height, "Rollouts that ended, week by week", Size::Wide);
  for (const double share : {0.0, 0.5, 1.0}) {
    const double y = height - bottom - share * (height - bottom - top);
    line(html, left, y, width, y);
    const double value = share * static_cast<double>(largest);
    if (value == std::floor(value)) write(html, left - 8, y + 4, std::to_string(static_cast<size_t>(value)), "soft", "end");
  }
  for (size_t i = 0; i < weeks.size(); ++i) {
    const double x = left + step * static_cast<double>(i) + step * 0.2;
    double y = height - bottom;
    const auto part = [&](size_t count, const char* css) {
      const double tall = unit * static_cast<double>(count);
      y -= tall;
      if (count) rect(html, x, y, step * 0.6, tall, css, 2);
    };
    part(weeks[i].succeeded, "bar");
    part(weeks[i].failed, "barbad");
    part(weeks[i].stopped, "bardim");
    if (i % 2 == 0) write(html, x + step * 0.3, height - 8, format_time(weeks[i].from).substr(5, 5), "soft", "middle");
  }
  svg::close(html);
  legend(html);
}

void put_time_line(Html& html, const Model& m, TimePoint now) {
  std::vector<const Rollout*> shown;
  for (const Rollout& r : m.rollouts)
    if (r.started && shown.size() < kTimeLineRows) shown.push_back(&r);
  if (shown.empty()) return;
  TimePoint from = now;
  for (const Rollout* r : shown) from = std::min(from, *r->started);
  const double width = 1160, left = 170, right = 110, row = 30, top = 8, bottom = 24;
  const double height = top + bottom + row * static_cast<double>(shown.size());
  const double span = std::max(1.0, static_cast<double>((now - from).count()));
  const auto at = [&](TimePoint t) { return left + (width - left - right) * static_cast<double>((t - from).count()) / span; };
  svg::open(html, width, height, "Rollouts of " + m.name + " along the time, the newest at the top", Size::Wide);
  for (int i = 0; i <= 3; ++i) {
    const TimePoint t = from + Duration(static_cast<int64_t>(span * i / 3));
    line(html, at(t), top, at(t), height - bottom);
    write(html, at(t), height - 8, format_time(t).substr(0, 10), "soft", i == 0 ? "start" : i == 3 ? "end" : "middle");
  }
  for (size_t i = 0; i < shown.size(); ++i) {
    const Rollout& r = *shown[i];
    const double y = top + row * static_cast<double>(i), x = at(*r.started), end = at(r.finished.value_or(now));
    write(html, 0, y + 19, shortened(r.to, 20));
    rect(html, x, y + 8, std::max(end - x, 5.0), 14, css_of(r));
    const double after = std::max(end, x + 5) + 8;
    const bool fits = after < width - right + 8;
    write(html, fits ? after : width - right + 12, y + 19, r.phase.empty() ? "unknown" : r.phase, "soft");
  }
  svg::close(html);
  legend(html, std::any_of(shown.begin(), shown.end(), [](const Rollout* r) { return !r->over(); }));
}

void put_gauge(Html& html, const Monitor& m) {
  const auto value = svg::number_in(m.value), min = svg::number_in(m.min), max = svg::number_in(m.max);
  if (!value || (!min && !max)) return;
  double low = std::min({*value, min.value_or(*value), max.value_or(*value)}), high = std::max({*value, min.value_or(*value), max.value_or(*value)});
  const double room = std::max({(high - low) * 0.25, std::abs(high) * 0.05, 1e-9});
  low = low >= 0 && !min ? std::min(0.0, low) : low - room;
  high += room;
  const double width = 320, left = 6, right = 6;
  const auto at = [&](double v) { return left + (width - left - right) * (v - low) / (high - low); };
  svg::open(html, width, 46, m.name + ": " + m.value + ", " + range(m.min, m.max), Size::Fixed);
  rect(html, left, 14, width - left - right, 10, "box", 5);
  const double good_from = min ? at(*min) : left, good_to = max ? at(*max) : width - right;
  rect(html, good_from, 14, good_to - good_from, 10, "strong", 2);
  line(html, at(*value), 8, at(*value), 30, "mark");
  const bool late = at(*value) > width * 0.75, early = at(*value) < width * 0.15;
  write(html, at(*value), 42, m.value, "", late ? "end" : early ? "start" : "middle");
  for (const auto& [bound, text] : {std::pair(min, "min " + m.min), std::pair(max, "max " + m.max)})
    if (bound && std::abs(at(*bound) - at(*value)) > 70)
      write(html, at(*bound), 42, text, "soft", at(*bound) > width * 0.75 ? "end" : at(*bound) < width * 0.2 ? "start" : "middle");
  svg::close(html);
}

void put_lineage(Html& html, const Model& m, const Version& v) {
  struct Box {
    std::string kind, name;
  };
  std::vector<Box> sources;
  for (const auto& [name, digest] : v.data)
    if (sources.size() < 3) sources.push_back({"data", name});
  if (!v.repository.empty() || !v.revision.empty())
    sources.push_back({"code", (v.repository.empty() ? "" : v.repository.substr(v.repository.rfind('/') + 1) + " ") + whole_characters(v.revision, 12)});
  if (!v.parent.empty()) sources.push_back({"trained beside", v.parent});
  if (sources.empty() && v.run.empty()) return;
  std::vector<Box> chain;
  if (!v.run.empty()) chain.push_back({v.run_kind.empty() ? "run" : v.run_kind, v.run});
  chain.push_back({"version", v.name});
  chain.push_back({"Model", m.name});
  const double box = 176, tall = 46, gap_x = 44, gap_y = 12;
  const size_t columns = chain.size() + (sources.empty() ? 0 : 1), rows = std::max<size_t>(sources.size(), 1);
  const double height = static_cast<double>(rows) * (tall + gap_y) - gap_y + 2, width = static_cast<double>(columns) * (box + gap_x) - gap_x + 2;
  svg::open(html, width, height, "Where version " + v.name + " came from");
  const auto draw = [&](double x, double y, const Box& b, const char* css) {
    rect(html, x + 1, y + 1, box, tall, css, 8);
    write(html, x + 12, y + 19, b.kind, "soft");
    write(html, x + 12, y + 36, shortened(b.name, 22));
  };
  const double middle = (height - tall) / 2;
  const auto arrow = [&](double x1, double y1, double x2, double y2) {
    line(html, x1, y1, x2 - 6, y2, "arrow");
    html << "<path class=\"tip\" d=\"M";
    html.number(x2) << " ";
    html.number(y2) << "l-8 -4v8z\"/>";
  };
  double x = 0;
  for (size_t i = 0; i < sources.size(); ++i) {
    const double y = static_cast<double>(i) * (tall + gap_y);
    draw(0, y, sources[i], "box");
    arrow(box + 3, y + tall / 2, box + gap_x - 1, middle + tall / 2);
  }
  if (!sources.empty()) x = box + gap_x;
  for (size_t i = 0; i < chain.size(); ++i) {
    draw(x, middle, chain[i], i + 1 == chain.size() ? "strong" : "box");
    if (i + 1 < chain.size()) arrow(x + box + 3, middle + tall / 2, x + box + gap_x - 1, middle + tall / 2);
    x += box + gap_x;
  }
  svg::close(html);
}

}  // namespace mo::report
