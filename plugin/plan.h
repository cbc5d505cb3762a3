// `plan`: what the operator would do next if files were applied, by the operator's own planner on the live
// objects with the files' laid over. Nothing is changed.
#pragma once

#include <iosfwd>

#include "plugin/files.h"
#include "plugin/session.h"

namespace mo::plugin {

struct Planned {
  Sources sources;
  bool ns_given = false;  // by -n: then no file may name another namespace
};
// Exit codes: kDone, nothing to do; kNo, there is something, or a Model is stalled; kTrouble.
int plan_files(Session& session, const Planned& planned, std::istream& in);

}  // namespace mo::plugin
