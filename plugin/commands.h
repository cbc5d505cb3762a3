// The command line of `kubectl model`.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "plugin/session.h"

namespace mo::plugin {

struct Console {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  std::optional<Terminal> terminal = {};
};

// `args` without the program's name. Returns the exit code.
int run(const std::vector<std::string>& args, const Console& console);
// The same program under the name kubectl_complete-model.
int run_completion(const std::vector<std::string>& args, const Console& console);

}  // namespace mo::plugin
