// `status`: the tree of each Model, once; or of one for as long as something is on its way.
#pragma once

#include <optional>

#include "plugin/session.h"
#include "plugin/targets.h"
#include "plugin/tree.h"

namespace mo::plugin {

struct Following {
  Selection selection;
  bool watch = false;
  std::optional<Duration> timeout;  // of the watch
  std::string output;               // empty: the tree
};

// The lines of `after` that `before` had not: what is news where nothing can be drawn over.
std::vector<std::string> news(const std::vector<std::string>& before, const std::vector<std::string>& after);
// Cut to so many columns, escapes and multi-byte characters counted as they show.
std::string cut(const std::string& line, int columns);

int status(Session& session, const Following& following);

}  // namespace mo::plugin
