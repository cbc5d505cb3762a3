// Texts that others wrote, made fit for JSON: dump() throws at what is not UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace mo {

// The length of the UTF-8 character at the start, 0 if there is none.
size_t character_length(std::string_view text);

// At most `max_bytes` of it, never cut inside a character; each byte that is no UTF-8 becomes a question mark.
std::string whole_characters(std::string_view text, size_t max_bytes = std::string_view::npos);

}  // namespace mo
