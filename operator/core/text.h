// Texts that others wrote, made fit for JSON (dump() throws at what is not UTF-8) and for logs and statuses.
#pragma once

#include <string>
#include <string_view>

namespace mo {

// The length of the UTF-8 character at the start, 0 if there is none.
size_t character_length(std::string_view text);

// At most `max_bytes` of it, never cut inside a character; each byte that is no UTF-8 becomes a question mark.
std::string whole_characters(std::string_view text, size_t max_bytes = std::string_view::npos);

// A URI as it may be shown in logs, statuses, Events and messages: user information, the values of its query and its fragment become
// "***", as in "https://***@host/path?token=***". A text that is no URI is treated alike and never refused. Pure.
std::string redact_uri(std::string_view uri);

}  // namespace mo
