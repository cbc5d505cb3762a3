#include "report/table.h"

#include "operator/json/fields.h"

namespace mo::report {
namespace {

std::string quoted(const std::string& text) {
  std::string out = fields::printable(text);
  if (!out.empty() && std::string("=+-@").find(out.front()) != std::string::npos) out.insert(out.begin(), '\'');
  if (out.find_first_of(",\"") == std::string::npos) return out;
  std::string whole = "\"";
  for (const char c : out) whole += c == '"' ? "\"\"" : std::string(1, c);
  return whole + "\"";
}

std::string csv_text(const Cell& cell) {
  if (cell.value.is_number()) return cell.value.dump();
  if (cell.value.is_string()) return quoted(cell.value.get<std::string>());
  return cell.value.is_null() ? "" : quoted(cell.text);
}

}  // namespace

Cell cell(const std::string& text, Tone tone) {
  Cell c{text, text.empty() ? Json(nullptr) : Json(text), tone};
  c.known = !text.empty();
  return c;
}
Cell plain(const std::string& text) { return {text, text}; }
Cell count(size_t number, Tone tone_if_any) { return {std::to_string(number), number, number ? tone_if_any : Tone::None}; }

Cell moment(const std::optional<TimePoint>& at) {
  if (!at) return cell("");
  const std::string text = format_time(*at);
  return {text.substr(0, 10) + " " + text.substr(11, 5), text};
}

Cell age_of(const std::optional<TimePoint>& at, TimePoint now) {
  if (!at) return cell("");
  return {fields::age(now - *at), format_time(*at)};
}

Table narrow(Table table) {
  for (auto& row : table.rows) {
    std::vector<Cell> kept;
    for (size_t i = 0; i < row.size(); ++i)
      if (!table.columns[i].wide) kept.push_back(std::move(row[i]));
    row = std::move(kept);
  }
  std::erase_if(table.columns, [](const Column& column) { return column.wide; });
  return table;
}

std::string to_csv(const Table& table) {
  std::string out;
  for (size_t i = 0; i < table.columns.size(); ++i) out += (i ? "," : "") + quoted(table.columns[i].key);
  out += "\r\n";
  for (const auto& row : table.rows) {
    for (size_t i = 0; i < row.size(); ++i) out += (i ? "," : "") + csv_text(row[i]);
    out += "\r\n";
  }
  return out;
}

Json to_json(const Table& table) {
  Json list = Json::array();
  for (const auto& row : table.rows) {
    Json one = Json::object();
    for (size_t i = 0; i < row.size(); ++i) one[table.columns[i].key] = row[i].value;
    list.push_back(std::move(one));
  }
  return list;
}

}  // namespace mo::report
