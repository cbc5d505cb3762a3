// Patterns in which "*" stands for any text, "/" included. Pure.
#pragma once

#include <string_view>

namespace mo {

bool matches(std::string_view pattern, std::string_view text);

}  // namespace mo
