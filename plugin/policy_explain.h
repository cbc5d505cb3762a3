// kubectl model policy explain MODEL.
#pragma once

#include <string>

#include "plugin/session.h"

namespace mo::plugin {

// Which demand comes from which ModelPolicy, and what is missing. Exit code kNo if something is.
int explain_policies(Session& session, const std::string& model);

}  // namespace mo::plugin
