// `plan`: what the operator would do next if files were applied, by the operator's own planner on the live
// objects with the files' laid over. Nothing is changed.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "plugin/session.h"

namespace mo::plugin {

// What `kubectl apply` makes of a live object and a file's: fields that the file has, and those that only
// others have set. Pure.
Json laid_over(const Json& live, const Json& file);

// Exit codes: kDone, nothing to do; kNo, there is something; kTrouble.
int plan_files(Session& session, const std::vector<std::string>& names, std::istream& in);

}  // namespace mo::plugin
