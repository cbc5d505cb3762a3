// What a server that wants a token says of it.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace mo::kube {

// The parameters of a WWW-Authenticate header such as `Bearer realm="…",service="…",scope="…"`. Pure.
std::map<std::string, std::string> challenge_parameters(std::string_view challenge);

}  // namespace mo::kube
