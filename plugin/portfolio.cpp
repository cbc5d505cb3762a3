#include "plugin/portfolio.h"

#include <cctype>

#include "plugin/fields.h"
#include "plugin/show.h"
#include "report/cyclonedx.h"
#include "report/live/history.h"
#include "report/live/prices.h"
#include "report/live/reading.h"
#include "report/pages.h"
#include "report/tables.h"

namespace mo::plugin {
namespace {

Result<report::PrometheusSource> source_of(const Asked& asked) {
  report::PrometheusSource source{asked.prometheus_url, {}, !asked.opencost_currency.empty()};
  for (const std::string& text : asked.prometheus_labels) {
    auto label = report::read_label(text);
    if (!label) return fail(ErrorKind::Invalid, "--prometheus-label: " + label.error().message);
    source.labels.push_back(std::move(*label));
  }
  if (!source.url.empty() && !source.url.starts_with("http://") && !source.url.starts_with("https://"))
    return fail(ErrorKind::Invalid, "--prometheus-url " + source.url + " must be an http:// or https:// address");
  if (source.opencost && source.url.empty()) return fail(ErrorKind::Invalid, "--opencost-currency needs --prometheus-url: costs of OpenCost are series of Prometheus");
  return source;
}

Result<report::Portfolio> read_all(Session& session, const std::string& selector, const Asked& asked, report::History& history) {
  std::optional<report::Prices> prices;
  if (!asked.prices.empty()) {
    auto read = report::read_price_file(asked.prices);
    if (!read) return fail(read.error());
    prices = std::move(*read);
  }
  auto priced = report::with_opencost(std::move(prices), asked.opencost_currency);
  if (!priced) return fail(priced.error());
  auto p = report::read_portfolio(session.client, {session.ns, selector, true}, session.now(), session.stop);
  if (!p) return p;
  p->prices = std::move(*priced);
  auto workloads = report::read_workloads(session.client, session.ns, session.stop);
  if (!workloads) {
    p->gaps.push_back("Deployments could not be read, so resources and costs are unknown: " + workloads.error().message);
    return p;
  }
  p->usage_problem = history.usage(*workloads, session.stop);
  if (history.configured() && !p->usage_problem.empty()) p->gaps.push_back("The usage of pods is unknown: " + p->usage_problem);
  report::take_workloads(*p, *workloads);
  return p;
}

// Of each Model's page, as long as there is time: a file of many Models must not wait for ever on a slow Prometheus.
class Figures {
 public:
  Figures(Session& session, report::History& history, const report::Span& span, TimePoint now) : session_(session), history_(history), span_(span), now_(now) {}

  report::Figures operator()(const report::Model& m) {
    if (std::chrono::steady_clock::now() > until_) {
      report::Figures none;
      none.to = now_;
      none.from = now_ - span_.length;
      none.step = span_.step;
      none.problem = "Prometheus took more than " + std::to_string(kMost.count()) + " s for the Models before this one, so its figures over time are unknown";
      return none;
    }
    auto figures = history_.figures(m.ns, m.name, span_, now_, session_.stop);
    if (!figures.detail.empty()) session_.err << "note: figures of " << printable(m.ns + "/" + m.name) << ": " << printable(figures.detail) << "\n";
    return figures;
  }

 private:
  static constexpr std::chrono::seconds kMost{120};
  Session& session_;
  report::History& history_;
  const report::Span& span_;
  const TimePoint now_;
  const std::chrono::steady_clock::time_point until_ = std::chrono::steady_clock::now() + kMost;
};

void print(std::ostream& out, const report::Table& table) {
  std::vector<std::string> header;
  for (const report::Column& column : table.columns) {
    std::string title = column.title;
    for (char& c : title) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    header.push_back(title);
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& row : table.rows) {
    std::vector<std::string> cells;
    for (const report::Cell& cell : row) cells.push_back(cell.known ? (cell.text.empty() ? "-" : cell.text) : "<unknown>");
    rows.push_back(std::move(cells));
  }
  print_table(out, header, rows);
}

void print_tables(Session& session, const report::Portfolio& p, bool wide) {
  if (p.models.empty()) session.err << "no Models in " << p.scope << "\n";
  const report::Table models = report::models_table(report::all_of(p), p);
  if (!p.models.empty()) print(session.out, wide ? models : report::narrow(models));
  if (!p.findings.empty()) {
    session.out << "\n";
    print(session.out, report::findings_table(p.findings));
  }
  for (const std::string& gap : p.gaps) session.err << "note: " << printable(gap) << "\n";
}

}  // namespace

void takes_sources(CLI::App& verb, Asked& asked) {
  verb.add_option("--prometheus-url", asked.prometheus_url, "Prometheus for the usage of pods and figures over time: http://localhost:9090")
      ->envname("PROMETHEUS_URL");
  verb.add_option("--prometheus-label", asked.prometheus_labels, "A label that only the series of this cluster have: cluster=prod-eu");
  verb.add_option("--prices", asked.prices, "A file of prices, for costs: currency, cpuHour, memoryGiBHour, deviceHour");
  verb.add_option("--opencost-currency", asked.opencost_currency, "Take costs from the OpenCost series in Prometheus, in this currency: USD");
}

int inventory(Session& session, const Inventory& wanted, kube::HttpTransport& http) {
  if (wanted.everywhere) session.ns.clear();
  auto source = source_of(wanted.asked);
  if (!source) return complain(session, source.error());
  report::History history(std::move(*source), http);
  const auto portfolio = read_all(session, wanted.selector, wanted.asked, history);
  if (!portfolio) return complain(session, portfolio.error());
  if (wanted.output == "json") {
    session.out << report::to_json(*portfolio).dump(2) << "\n";
  } else if (wanted.output == "csv") {
    session.out << report::to_csv(*report::table_of(*portfolio, wanted.table));
    for (const std::string& gap : portfolio->gaps) session.err << "note: " << printable(gap) << "\n";
  } else if (wanted.output == "cyclonedx") {
    session.out << report::to_cyclonedx(*portfolio, MODEL_OPERATOR_VERSION).dump(2) << "\n";
  } else {
    print_tables(session, *portfolio, wanted.output == "wide");
  }
  return kDone;
}

int report(Session& session, const Reporting& wanted, kube::HttpTransport& http) {
  if (wanted.everywhere) session.ns.clear();
  auto source = source_of(wanted.asked);
  if (!source) return complain(session, source.error());
  report::History history(std::move(*source), http);
  const auto portfolio = read_all(session, "", wanted.asked, history);
  if (!portfolio) return complain(session, portfolio.error());
  if (wanted.output == "json") {
    session.out << report::to_json(*portfolio).dump(2) << "\n";
    return kDone;
  }
  std::function<report::Figures(const report::Model&)> figures;
  if (history.configured()) figures = Figures(session, history, report::span_of(wanted.span), session.now());
  session.out << report::one_file(*portfolio, figures);
  return kDone;
}

}  // namespace mo::plugin
