// A backtest for people and for scripts.
#include <algorithm>
#include <sstream>

#include "plugin/backtest.h"
#include "plugin/fields.h"
#include "plugin/show.h"
#include "reconcilers/measure/compare.h"

namespace mo::plugin {
namespace {

constexpr size_t kColumns = 48;        // of the chart
constexpr size_t kBreachesShown = 20;  // the last of each monitor
constexpr size_t kReasonsShown = 3;

const char* kind_of(const Tested& tested) { return tested.figure.is_monitor ? "monitor" : "gate"; }

std::string bounds_of(const api::Gate& gate) {
  std::string all;
  const auto add = [&](const std::string& one) { all += (all.empty() ? "" : ", ") + one; };
  if (gate.min) add("min " + gate.min->to_string());
  if (gate.max) add("max " + gate.max->to_string());
  if (gate.versus_stable) add("at most " + gate.versus_stable->max_regression.to_string() + " worse than stable");
  if (gate.samples) add(std::to_string(gate.samples->min) + " samples");
  return all;
}

std::string shown(const std::optional<Decimal>& value) {
  return value ? measure::rounded(measure::to_double(*value)).to_string() : "-";
}

Duration time_in(const std::vector<Breach>& breaches) {
  Duration all{0};
  for (const Breach& breach : breaches) all += breach.to - breach.from;
  return all;
}

std::string says(const Tested& tested) {
  if (!tested.problem.empty()) return "unknown";
  const Played& played = tested.played;
  if (tested.figure.is_monitor)
    return played.breaches.empty()
               ? "never breached"
               : "breached " + std::to_string(played.breaches.size()) + "x, " + span(time_in(played.breaches)) + " in all";
  std::string all;
  for (const auto& [verdict, word] :
       {std::pair("Passed", "passed"), std::pair("Failed", "failed"), std::pair("Inconclusive", "inconclusive")})
    if (const auto found = played.verdicts.find(verdict); found != played.verdicts.end())
      all += (all.empty() ? "" : ", ") + std::string(word) + " " + std::to_string(found->second) + "x";
  return all.empty() ? "never decided" : all;
}

std::string ended(const Breach& breach) {
  return breach.end == Breach::End::Recovered ? "recovered"
         : breach.end == Breach::End::Lasting ? "lasts"
                                              : "another version served";
}

std::string actions_of(const api::Monitor& monitor) {
  std::string all = "Alert";
  if (monitor.retrain) all += ", Retrain";
  if (monitor.roll_back) all += ", Rollback";
  if (monitor.hold) all += ", Hold";
  return all;
}

std::vector<std::string> served(const Report& report) {
  std::vector<std::string> lines;
  for (const Period& p : report.periods) {
    if (p.stable.empty() && p.candidate.empty()) return {"no version is known to have served"};
    const std::string line =
        format_time(p.from) + " to " + format_time(p.to) + ": " + (p.stable.empty() ? "nothing" : p.stable) + " is {{stable}}";
    lines.push_back(line + (p.candidate == p.stable ? " and {{candidate}}" : ", " + p.candidate + " is {{candidate}}"));
  }
  return lines.empty() ? std::vector<std::string>{"no version is known to have served"} : lines;
}

// What is to be known of one figure beside its row.
std::vector<std::string> notes_on(const Tested& tested) {
  const std::string who = std::string(kind_of(tested)) + " " + tested.figure.gate().name;
  if (!tested.problem.empty()) return {who + ": " + tested.problem};
  std::vector<std::string> notes;
  if (tested.coarser)
    notes.push_back(who + " is measured every " + format_duration(tested.step) + " here, not every " +
                    format_duration(tested.figure.gate().interval) + ": shorter breaches are not visible; use --step " +
                    format_duration(tested.figure.gate().interval));
  std::vector<std::pair<size_t, std::string>> reasons;
  for (const auto& [why, n] : tested.played.why_inconclusive) reasons.emplace_back(n, why);
  std::sort(reasons.rbegin(), reasons.rend());
  if (reasons.size() > kReasonsShown) reasons.resize(kReasonsShown);
  for (const auto& [n, why] : reasons)
    if (why != "no data") notes.push_back(who + ": " + std::to_string(n) + "x " + why);
  return notes;
}

void add_table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
               std::vector<std::string>& lines) {
  std::stringstream text;
  print_table(text, header, rows);
  for (std::string line; std::getline(text, line);) lines.push_back(line);
}

void add_figures(const Report& report, std::vector<std::string>& lines) {
  std::vector<std::vector<std::string>> rows;
  for (const Tested& t : report.tested) {
    const Played& p = t.played;
    rows.push_back({kind_of(t), t.figure.gate().name, bounds_of(t.figure.gate()), format_duration(t.step),
                    std::to_string(p.passed), std::to_string(p.failed), std::to_string(p.inconclusive), shown(quantile(p, 0)),
                    shown(quantile(p, 5)), shown(quantile(p, 50)), shown(quantile(p, 95)), shown(quantile(p, 100)), says(t)});
  }
  add_table({"KIND", "NAME", "BOUNDS", "EVERY", "PASS", "FAIL", "NO DATA", "MIN", "P5", "MEDIAN", "P95", "MAX", "WOULD SAY"},
            rows, lines);
}

void add_charts(const Report& report, const DisplayOptions& display, std::vector<std::string>& lines) {
  size_t widest = 0;
  for (const Tested& t : report.tested) widest = std::max(widest, t.figure.gate().name.size());
  for (const Tested& t : report.tested) {
    const Chart chart = chart_of(t.played, t.figure.gate(), report.from, report.to, kColumns);
    if (!chart.low) continue;
    std::string line = printable(t.figure.gate().name) + std::string(widest + 2 - t.figure.gate().name.size(), ' ');
    for (size_t i = 0; i < chart.cells.size(); ++i)
      line += display.colour && chart.failed[i] ? "\x1b[31m" + chart.cells[i] + "\x1b[0m" : chart.cells[i];
    lines.push_back(line + "  " + shown(chart.low) + (chart.low == chart.high ? "" : " to " + shown(chart.high)));
  }
}

void add_breaches(const Report& report, std::vector<std::string>& lines) {
  std::vector<std::vector<std::string>> rows;
  for (const Tested& t : report.tested) {
    const auto& all = t.played.breaches;
    for (size_t i = all.size() > kBreachesShown ? all.size() - kBreachesShown : 0; i < all.size(); ++i)
      rows.push_back({t.figure.gate().name, all[i].version, format_time(all[i].from), span(all[i].to - all[i].from), all[i].worst,
                      ended(all[i]), actions_of(t.figure.monitor)});
  }
  if (rows.empty()) return;
  lines.emplace_back();
  add_table({"BREACH OF", "VERSION", "SINCE", "FOR", "WORST", "END", "ACTIONS"}, rows, lines);
}

Json breach_json(const Breach& breach) {
  Json out = {
      {"version", breach.version}, {"from", format_time(breach.from)}, {"to", format_time(breach.to)}, {"end", ended(breach)}};
  if (!breach.worst.empty()) out["worst"] = breach.worst;
  return out;
}

Json figure_json(const Report& report, const Tested& t) {
  Json out = {{"kind", kind_of(t)},
              {"name", t.figure.gate().name},
              {"bounds", bounds_of(t.figure.gate())},
              {"step", format_duration(t.step)}};
  if (!t.problem.empty()) {
    out["problem"] = t.problem;
    return out;
  }
  const Played& p = t.played;
  out["measurements"] = {{"passed", p.passed}, {"failed", p.failed}, {"inconclusive", p.inconclusive}};
  if (!p.why_inconclusive.empty()) out["inconclusive"] = p.why_inconclusive;
  for (const auto& [name, per_cent] :
       {std::pair("min", 0), std::pair("p5", 5), std::pair("p50", 50), std::pair("p95", 95), std::pair("max", 100)})
    if (const auto value = quantile(p, per_cent)) out["values"][name] = value->to_string();
  if (t.figure.is_monitor) {
    out["breaches"] = Json::array();
    for (const Breach& breach : p.breaches) out["breaches"].push_back(breach_json(breach));
  } else {
    out["verdicts"] = p.verdicts.empty() ? Json::object() : Json(p.verdicts);
  }
  const Chart chart = chart_of(p, t.figure.gate(), report.from, report.to, kColumns);
  std::string line;
  for (const std::string& cell : chart.cells) line += cell;
  out["chart"] = line;
  return out;
}

}  // namespace

std::vector<std::string> lines_of(const Report& report, const DisplayOptions& display) {
  std::vector<std::string> lines = {"Model " + report.ns + "/" + report.model + ", " + format_time(report.from) + " to " +
                                    format_time(report.to)};
  for (const std::string& line : served(report)) lines.push_back("  " + line);
  lines.emplace_back();
  add_figures(report, lines);
  lines.emplace_back();
  const size_t charts = lines.size();
  add_charts(report, display, lines);
  for (size_t i = 0; i < charts; ++i) lines[i] = printable(lines[i]);
  const size_t rest = lines.size();
  add_breaches(report, lines);
  for (const Tested& t : report.tested)
    for (const std::string& note : notes_on(t)) lines.push_back("! " + note);
  for (const std::string& note : report.left_out) lines.push_back("! " + note);
  for (size_t i = rest; i < lines.size(); ++i) lines[i] = printable(lines[i]);
  return lines;
}

Json to_json(const Report& report) {
  Json out = {
      {"namespace", report.ns}, {"model", report.model}, {"from", format_time(report.from)}, {"to", format_time(report.to)}};
  out["served"] = Json::array();
  for (const Period& p : report.periods)
    if (!p.stable.empty() || !p.candidate.empty())
      out["served"].push_back(
          {{"from", format_time(p.from)}, {"to", format_time(p.to)}, {"stable", p.stable}, {"candidate", p.candidate}});
  out["figures"] = Json::array();
  for (const Tested& t : report.tested) out["figures"].push_back(figure_json(report, t));
  if (!report.left_out.empty()) out["leftOut"] = report.left_out;
  return out;
}

}  // namespace mo::plugin
