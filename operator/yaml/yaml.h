// YAML files as people write them, read as kubectl reads them. Pure functions, thread-safe.
#pragma once

#include <map>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "operator/json/json.h"

namespace mo::yaml {

struct Problem {
  int line = 0;  // from 1
  std::string message;
};

struct Document {
  Json value;
  // Where each value begins, by its JSON pointer ("" is the document, "/spec/steps/0"); of a member that is
  // where its key stands.
  std::map<std::string, int> lines;

  // Of the value, or of the nearest around it that the text has.
  int line_of(std::string pointer) const;
};

// Each document (or JSON, which is YAML) that is not empty, without building anything of unbounded size.
// Plain scalars are typed as kubectl types them: `yes` and `on` are true. Merge keys (`<<`) are resolved.
tl::expected<std::vector<Document>, Problem> read(const std::string& text);

// In block style, every text that would be read as something else in quotes.
std::string write(const Json& value);

}  // namespace mo::yaml
