// `lint`: files against the CRDs and the operator's own rules, without a cluster.
#pragma once

#include "plugin/files.h"

namespace mo::plugin {

// What the API server or the operator would refuse, in the order of the files.
std::vector<Complaint> lint(const Objects& objects);

int lint_files(const std::vector<std::string>& names, std::istream& in, std::ostream& out, std::ostream& err);

}  // namespace mo::plugin
