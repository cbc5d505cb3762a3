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

void print_table(std::ostream& out, const std::vector<std::string>& header,
                 const std::vector<std::vector<std::string>>& rows) {
  const auto shown = [](const std::string& cell) {
    return cell.empty() ? std::string("<none>") : printable(cell);
  };
  std::vector<size_t> widths;
  for (size_t i = 0; i < header.size(); ++i) {
    widths.push_back(header[i].size());
    for (const auto& row : rows) widths[i] = std::max(widths[i], shown(row[i]).size());
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    for (size_t i = 0; i < cells.size(); ++i) {
      out << cells[i];
      if (i + 1 < cells.size()) out << std::string(widths[i] + 3 - cells[i].size(), ' ');
    }
    out << "\n";
  };
  line(header);
  for (auto row : rows) {
    std::transform(row.begin(), row.end(), row.begin(), shown);
    line(row);
  }
}

}  // namespace mo::plugin
