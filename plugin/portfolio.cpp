#include "plugin/portfolio.h"

#include <cctype>

#include "plugin/fields.h"
#include "plugin/show.h"
#include "report/cyclonedx.h"
#include "report/live/reading.h"
#include "report/pages.h"
#include "report/tables.h"

namespace mo::plugin {
namespace {

Result<report::Portfolio> read_all(Session& session, const std::string& selector) {
  return report::read_portfolio(session.client, {session.ns, selector, true}, session.now(), session.stop);
}

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
  const report::Table models = report::models_table(report::all_of(p), p.at);
  if (!p.models.empty()) print(session.out, wide ? models : report::narrow(models));
  if (!p.findings.empty()) {
    session.out << "\n";
    print(session.out, report::findings_table(p.findings));
  }
  for (const std::string& gap : p.gaps) session.err << "note: " << printable(gap) << "\n";
}

}  // namespace

int inventory(Session& session, const Inventory& wanted) {
  if (wanted.everywhere) session.ns.clear();
  const auto portfolio = read_all(session, wanted.selector);
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

int report(Session& session, const Reporting& wanted) {
  if (wanted.everywhere) session.ns.clear();
  const auto portfolio = read_all(session, "");
  if (!portfolio) return complain(session, portfolio.error());
  session.out << (wanted.output == "json" ? report::to_json(*portfolio).dump(2) + "\n" : report::one_file(*portfolio));
  return kDone;
}

}  // namespace mo::plugin
