// Texts as parts of addresses.
#pragma once

#include <string>
#include <string_view>

namespace mo {

// Letters, digits, "-", ".", "_", "~" and what `also_plain` holds stay; every other byte becomes %XX. Pure.
std::string percent_encoded(std::string_view text, std::string_view also_plain = "");

}  // namespace mo
