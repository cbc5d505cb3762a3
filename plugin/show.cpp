#include "plugin/show.h"

#include <algorithm>

#include "operator/yaml/yaml.h"
#include "plugin/fields.h"

namespace mo::plugin {
namespace {

// managedFields is the API server's own bookkeeping; kubectl leaves it out, too.
Json for_people(Json object) {
  if (object.contains("metadata")) object["metadata"].erase("managedFields");
  return object;
}

}  // namespace

std::string typed_name(const Json& object) {
  std::string kind = text(object, "kind");
  std::transform(kind.begin(), kind.end(), kind.begin(), [](unsigned char c) { return std::tolower(c); });
  const std::string api_version = text(object, "apiVersion");
  return kind + "." + api_version.substr(0, api_version.find('/')) + "/" + name_of(object);
}

void print_objects(std::ostream& out, const std::vector<Json>& objects, const std::string& output,
                   bool as_list) {
  if (output == "name") {
    for (const Json& object : objects) out << typed_name(object) << "\n";
    return;
  }
  Json whole = {{"apiVersion", "v1"}, {"kind", "List"}, {"items", Json::array()}};
  for (const Json& object : objects) whole["items"].push_back(for_people(object));
  if (!as_list && objects.size() == 1) whole = whole["items"][0];
  out << (output == "json" ? whole.dump(2) + "\n" : yaml::write(whole));
}

void Table::print(std::vector<std::vector<std::string>> rows) {
  for (auto& row : rows)
    for (std::string& cell : row) cell = cell.empty() ? "<none>" : printable(cell);
  const bool first = widths_.empty();
  if (first) rows.insert(rows.begin(), header_);
  widths_.resize(header_.size());
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths_[i] = std::max(widths_[i], row[i].size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      out_ << row[i];
      if (i + 1 < row.size()) out_ << std::string(widths_[i] + 3 - row[i].size(), ' ');
    }
    out_ << "\n";
  }
}

void print_table(std::ostream& out, const std::vector<std::string>& header,
                 const std::vector<std::vector<std::string>>& rows) {
  Table(out, header).print(rows);
}

}  // namespace mo::plugin
