// Objects as people and scripts want them: tables, JSON, YAML, names.
#pragma once

#include <iostream>
#include <string>
#include <vector>

#include "operator/core/ids.h"
#include "operator/core/time.h"
#include "operator/json/json.h"

namespace mo::plugin {

// What `-o` may be where there is an object to print.
inline const std::vector<std::string> kOutputs = {"json", "yaml", "name"};

// "model.modelops.dev/fraud".
std::string typed_name(const Json& object);
// `output` is one of kOutputs. One object as it is; several as a List.
void print_objects(std::ostream& out, const std::vector<Json>& objects, const std::string& output,
                   bool as_list);

// Columns as wide as they need to be, three blanks between them; empty cells as kubectl writes them. Rows that are
// printed later stand below the first ones.
class Table {
 public:
  Table(std::ostream& out, std::vector<std::string> header) : out_(out), header_(std::move(header)) {}
  void print(std::vector<std::vector<std::string>> rows);

 private:
  std::ostream& out_;
  const std::vector<std::string> header_;
  std::vector<size_t> widths_;  // empty: the header is not printed yet
};
void print_table(std::ostream& out, const std::vector<std::string>& header,
                 const std::vector<std::vector<std::string>>& rows);

}  // namespace mo::plugin
