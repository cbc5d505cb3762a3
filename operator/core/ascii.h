// Characters without a locale.
#pragma once

namespace mo {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace mo
