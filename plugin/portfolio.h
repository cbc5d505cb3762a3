// `inventory` and `report`: what models there are, with the caller's rights.
#pragma once

#include <string>

#include "plugin/session.h"

namespace mo::plugin {

struct Inventory {
  bool everywhere = false;
  std::string output;             // empty | wide | csv | json | cyclonedx
  std::string table = "models";   // of csv
  std::string selector;           // of Models
};
int inventory(Session& session, const Inventory& wanted);

struct Reporting {
  bool everywhere = false;
  std::string output = "html";  // html | json
};
int report(Session& session, const Reporting& wanted);

}  // namespace mo::plugin
