// The command line of `kubectl model`.
#pragma once

#include <iosfwd>
#include <stop_token>
#include <string>
#include <vector>

namespace mo::plugin {

// `args` without the program's name. Returns the exit code.
int run(const std::vector<std::string>& args, std::istream& in, std::ostream& out, std::ostream& err,
        std::stop_token stop);

}  // namespace mo::plugin
