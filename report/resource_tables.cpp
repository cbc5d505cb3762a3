#include "report/resource_tables.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "report/pages.h"
#include "report/plots.h"
#include "report/sections.h"
#include "report/tables.h"

namespace mo::report {
namespace {

double rounded(double value) { return std::round(value * 10000) / 10000; }

std::string devices_in_words(const std::map<std::string, double>& devices, int64_t pods) {
  std::string text;
  for (const auto& [name, amount] : devices)
    if (amount * static_cast<double>(pods) > 0) {
      char number[32];
      std::snprintf(number, sizeof number, "%.4g", amount * static_cast<double>(pods));
      text += (text.empty() ? "" : ", ") + std::string(number) + " " + name;
    }
  return text;
}

std::string or_unknown(const std::optional<double>& value, std::string (*words)(double)) { return value ? words(*value) : "unknown"; }

size_t told_by_opencost(const Portfolio& p) {
  size_t told = 0;
  for (const Model& m : p.models)
    if (m.workloads) told += static_cast<size_t>(std::count_if(m.workloads->begin(), m.workloads->end(), [](const Workload& w) { return w.cost_hour.has_value(); }));
  return told;
}

void put_missing(Html& h, const Portfolio& p) {
  const auto gap = [&](const std::string& text) {
    h << "<p class=\"more\">";
    h.text(text) << "</p>";
  };
  if (!p.prices) gap("No prices are known here, so costs are unknown: whoever makes this report can give them by --prices or --opencost-currency.");
  if (p.prices && p.prices->opencost) {
    const size_t told = told_by_opencost(p);
    if (told == 0) gap(std::string("Prometheus has no costs of OpenCost for these Models, so ") + (p.prices->cpu_hour ? "they are by the prices given." : "they are unknown."));
  }
  if (!p.usage_problem.empty()) gap("What is used is unknown: " + p.usage_problem);
}

std::string models(size_t count) { return count == 1 ? "1 Model" : std::to_string(count) + " Models"; }

// `asked` and `used`: cores of the Models of which both are known.
void put_tiles(Html& h, const Portfolio& p, const Totals& all, size_t unknown, double asked, double used) {
  h << "<ul class=\"tiles\">";
  const auto tile = [&](const std::string& value, const std::string& what) {
    h << "<li class=\"tile\"><b";
    if (value == "unknown") h << " class=\"unknown\"";
    h << ">";
    h.text(value) << "</b><span>";
    h.text(what) << "</span></li>";
  };
  const std::string but = unknown ? "; of " + models(unknown) + " it is unknown" : "";
  tile(p.prices ? in_money(*all.cost, p.prices->currency) : "unknown", "a month, as it is now" + but);
  tile(std::to_string(all.pods), "pods that serve");
  tile(or_unknown(all.cpu, in_cores), "cores asked for");
  tile(or_unknown(all.memory, in_gib), "GiB of memory asked for");
  tile(asked > 0 ? percent(used / asked) : "unknown", "of the cores asked for were used in the last hour");
  h << "</ul>";
}

}  // namespace

Cell cores_cell(const std::optional<double>& cores) { return cores ? Cell{in_cores(*cores), rounded(*cores)} : cell(""); }
Cell gib_cell(const std::optional<double>& bytes) { return bytes ? Cell{in_gib(*bytes), rounded(*bytes / (1024.0 * 1024 * 1024))} : cell(""); }
Cell money_cell(const std::optional<double>& amount, const Portfolio& p) {
  return amount && p.prices ? Cell{in_money(*amount, p.prices->currency), std::round(*amount * 100) / 100} : cell("");
}

Table resources_table(const Portfolio& p, const std::vector<const Model*>& models, size_t most) {
  Table t{"resources",
          "Resources and cost",
          "What each version that has pods asks for, what it uses, and what that costs.",
          {{"namespace", "Namespace", "The Kubernetes namespace."},
           {"model", "Model", "The Model's name."},
           {"owner", "Owner", "spec.owner: the team that answers for it."},
           {"version", "Version", "The version that these pods serve."},
           {"pods", "Pods", "How many there are now."},
           {"cpu", "Cores", "That all these pods ask for: requests of their Deployment, or what kube-state-metrics tells of them if that is more."},
           {"cpuUsed", "Used", "Cores that they used, on average over the last hour, as Prometheus knows it."},
           {"memoryGiB", "GiB", "Memory that all these pods ask for."},
           {"memoryUsedGiB", "Used GiB", "Memory that they used, on average over the last hour."},
           {"devices", "Devices", "GPUs and the like that all these pods ask for."},
           {"costPerMonth", "A month", "As OpenCost tells it, or else what they ask for by the prices given, for 730 hours with as many pods as now."},
           {"currency", "Currency", "Of the cost.", true},
           {"costFrom", "Cost from", "Who says so: OpenCost, or prices that were given.", true}},
          {},
          "no Deployment of a Model was found"};
  struct Row {
    const Model* model;
    const Workload* workload;
    std::optional<double> cost;
  };
  std::vector<Row> rows;
  bool known = false;
  for (const Model* m : models) {
    known |= m->workloads.has_value();
    if (!m->workloads) continue;
    for (const Workload& w : *m->workloads) rows.push_back({m, &w, monthly_cost(w, p.prices)});
  }
  if (!known && !models.empty()) t.empty = "unknown: Deployments were not read";
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.cost.value_or(-1) > b.cost.value_or(-1); });
  if (rows.size() > most) rows.resize(most);
  for (const auto& [m, w, cost] : rows) {
    Cell name = plain(m->name);
    name.ns = m->ns, name.model = m->name;
    t.rows.push_back({plain(m->ns), name, cell(m->team.empty() ? m->contact : m->team), plain(w->version), count(static_cast<size_t>(w->pods)),
                      cores_cell(cpu_asked(*w)), cores_cell(w->cpu_used), gib_cell(memory_asked(*w)), gib_cell(w->memory_used),
                      plain(devices_in_words(w->devices, w->pods)), money_cell(cost, p), p.prices ? plain(p.prices->currency) : cell(""),
                      cost && p.prices ? plain(p.prices->opencost && w->cost_hour ? "OpenCost" : "prices") : cell("")});
  }
  return t;
}

void put_resources_of(Html& h, const Portfolio& p, const Model& m, const Links& links) {
  h << "<h2>Resources and cost</h2>";
  Table t = narrow(resources_table(p, {&m}));
  t.title += " of " + m.ns + "/" + m.name;
  for (auto& row : t.rows) row.erase(row.begin(), row.begin() + 3);
  t.columns.erase(t.columns.begin(), t.columns.begin() + 3);
  put_table(h, t, links);
  if (!t.rows.empty()) put_missing(h, p);
}

void put_resources(Html& h, const Portfolio& p, const Links& links) {
  put_heading(h, "Resources", "What Models ask of the cluster, what they use of it, and what that costs.");
  put_gaps(h, p);
  // Sums are of what is known, and say of how many Models it is not.
  Totals all;
  size_t unknown = 0, uncounted = 0;
  double asked = 0, used = 0;
  std::map<std::string, double> teams;
  for (const Model& m : p.models) {
    const Totals t = totals_of(m, p.prices);
    unknown += !t.cost;
    uncounted += !t.cpu || !t.memory;
    all.pods += t.pods;
    *all.cpu += t.cpu.value_or(0);
    *all.memory += t.memory.value_or(0);
    if (t.cpu && t.cpu_used) {
      asked += *t.cpu;
      used += *t.cpu_used;
    }
    *all.cost += t.cost.value_or(0);
    teams[m.team] += p.prices ? t.cost.value_or(0) : t.cpu.value_or(0);
  }
  const bool read = std::any_of(p.models.begin(), p.models.end(), [](const Model& m) { return m.workloads.has_value(); });
  if (read) {
    put_tiles(h, p, all, p.prices ? unknown : 0, asked, used);
    if (uncounted) {
      h << "<p class=\"more\">";
      h.text("Some pods of " + models(uncounted) + " do not say what they ask for; the sums are without them.") << "</p>";
    }
    put_missing(h, p);
    std::vector<Share> shares;
    for (const auto& [team, amount] : teams)
      if (amount >= 0.5) shares.push_back({team, static_cast<size_t>(std::llround(amount))});
    if (!shares.empty()) {
      const std::string title = p.prices ? "By team, " + p.prices->currency + " a month" : "By team, cores asked for";
      h << "<div class=\"grid\"><div class=\"card\"><h2>";
      h.text(title) << "</h2>";
      put_bars(h, title, shares, 10);
      h << "</div></div>";
    }
    h << "<h2>By Model and version</h2>";
  }
  const size_t most = links.one_file ? kRowsInFile : kRowsPerPage;
  const Table table = narrow(resources_table(p, all_of(p), most));
  put_table(h, table, links, table.rows.size() == most ? "the dearest; the table as CSV or JSON has all" : "");
}

}  // namespace mo::report
