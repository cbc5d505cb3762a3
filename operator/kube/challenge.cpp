#include "operator/kube/challenge.h"

#include <algorithm>

namespace mo::kube {

std::map<std::string, std::string> challenge_parameters(std::string_view challenge) {
  std::map<std::string, std::string> out;
  challenge.remove_prefix(std::min(challenge.find(' '), challenge.size()));
  for (;;) {
    challenge.remove_prefix(std::min(challenge.find_first_not_of(" ,"), challenge.size()));
    const size_t equals = challenge.find("=\"");
    if (equals == std::string_view::npos) return out;
    const size_t end = challenge.find('"', equals + 2);
    if (end == std::string_view::npos) return out;
    out.emplace(challenge.substr(0, equals), challenge.substr(equals + 2, end - equals - 2));
    challenge.remove_prefix(end + 1);
  }
}

}  // namespace mo::kube
