// What people call an object on the command line: "fraud", "model/fraud", "models.modelops.dev/fraud".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "operator/core/ids.h"
#include "operator/core/result.h"

namespace mo::plugin {

// Whether the API server could have an object of that name: lower case letters, digits, "-" and ".".
bool is_object_name(std::string_view name);

struct Named {
  Kind kind{};
  std::string name;
  bool operator==(const Named&) const = default;
};

// `kinds` are those that can be named there; a bare name is of the first. Their plural, singular and short names
// are known, each also with the group and with the version and the group. ErrorKind::Invalid if it is of another kind or no name at all.
Result<Named> named(const std::string& word, const std::vector<Kind>& kinds);

// The same, where a name has to be given without its kind. Empty stays empty.
Result<std::string> name_as(Kind kind, const std::string& word);

}  // namespace mo::plugin
