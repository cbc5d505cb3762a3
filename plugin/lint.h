// `lint`: files against the CRDs and the operator's own rules, without a cluster.
#pragma once

#include "plugin/files.h"

namespace mo::plugin {

// What the API server or the operator would refuse, and what is likely not meant, in the order of the files.
std::vector<Complaint> lint(const Objects& objects);
size_t mistakes_among(const std::vector<Complaint>& complaints);

struct Linting {
  Sources sources;
  bool strict = false;  // warnings fail, too
};
// Exit codes: kDone; kNo, mistakes (or, with `strict`, warnings); kTrouble, a file that cannot be read.
int lint_files(const Linting& linting, std::istream& in, std::ostream& out, std::ostream& err);

}  // namespace mo::plugin
