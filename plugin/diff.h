// What a Model's spec asks pods to be made of against what serves.
#pragma once

#include <string>
#include <vector>

#include "plugin/session.h"

namespace mo::plugin {

// "spec.containers[server].image: one -> two", for each field that differs. Entries of lists are told apart by their names where they have
// any. Pure.
std::vector<std::string> pod_differences(const Json& before, const Json& after);

// Exit code: kDone where nothing differs, kNo where something does.
int diff(Session& session, const std::string& model);

}  // namespace mo::plugin
