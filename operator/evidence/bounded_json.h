// Reading JSON that others wrote: no exceptions, no bottomless nesting.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace mo::evidence {

// A discarded value (is_discarded()) for what is not JSON or is nested deeper than `max_depth`. Bound the
// text's size before.
nlohmann::json parse_bounded(std::string_view text, int max_depth = 64);

// The member, or null if it is absent or `object` is no object.
nlohmann::json member_of(const nlohmann::json& object, const char* member);

// The member as text, or "" if it is absent or no string.
std::string text_of(const nlohmann::json& object, const char* member);

}  // namespace mo::evidence
