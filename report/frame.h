// What stands around each page.
#pragma once

#include <string>

#include "report/html.h"

namespace mo::report {

struct Frame {
  std::string title, scope, current;  // current: the page of the navigation
  TimePoint at{};
  Links links;
  int refresh = 0;
  bool compliance = true;
};
std::string document(const Frame& frame, const Html& body);

}  // namespace mo::report
