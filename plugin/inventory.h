// `get` and `history`: tables of what there is.
#pragma once

#include <string>
#include <vector>

#include "plugin/session.h"
#include "plugin/targets.h"

namespace mo::plugin {

struct Getting {
  Selection selection;  // none: all
  bool everywhere = false;
  bool watch = false;  // then go on with each change, until nobody reads it any more
  std::string output;  // empty | wide | json | yaml | name
};
int get_models(Session& session, const Getting& getting);

struct Past {
  std::string model;  // "fraud" or "model/fraud"
  std::string output;
};
int history(Session& session, const Past& past);

}  // namespace mo::plugin
