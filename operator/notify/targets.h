// --notifications: whom to tell of what, from a YAML file.
#pragma once

#include <string>
#include <vector>

#include "operator/core/plan.h"
#include "operator/core/result.h"

namespace mo::notify {

struct Target {
  enum class Format { Slack, Teams, PagerDuty, CloudEvents } format = Format::CloudEvents;
  std::string name;
  std::string url;         // or, read afresh for each message:
  std::string url_file;    // a mounted Secret with the address
  std::string token_file;  // the bearer token; for PagerDuty the routing key. Empty: none
  std::vector<std::string> namespaces;  // names, or patterns with "*"; empty: all
  std::vector<std::string> reasons;     // of Events; empty: all
  bool warnings_only = true;

  bool wants(const Event& event) const;
};

// ErrorKind::Invalid with the target and the field. At most 20 targets.
Result<std::vector<Target>> read_targets(const std::string& yaml);

}  // namespace mo::notify
