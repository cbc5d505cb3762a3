// kubectl model audit: a Model's trail, what served at some time, and whether the trail is whole.
#pragma once

#include <string>
#include <vector>

#include "plugin/session.h"

namespace mo::plugin {

struct Auditing {
  std::string model, uid;
  std::string at;  // a time; empty: all records
  bool verify = false;
  std::vector<std::string> public_keys;  // files
  std::string output;                    // empty | json | jsonl
};
// Exit codes: kDone; kNo, a record was changed or is missing; kTrouble.
int audit_model(Session& session, const Auditing& auditing);

}  // namespace mo::plugin
