// `get` and `history`: tables of what there is.
#pragma once

#include <string>
#include <vector>

#include "plugin/session.h"

namespace mo::plugin {

struct Getting {
  std::vector<std::string> models;  // none: all
  bool everywhere = false;
  std::string output;  // empty | wide | json | yaml | name
};
int get_models(Session& session, const Getting& getting);

struct Past {
  std::string model;
  std::string output;
};
int history(Session& session, const Past& past);

}  // namespace mo::plugin
