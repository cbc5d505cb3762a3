// Whether JSON text is already as Json::dump() would write it. What the API server sends of custom resources nearly always is: their keys
// are sorted. Telling so costs a tenth of building and writing it. Pure, thread-safe; no recursion.
#pragma once

#include <string_view>

namespace mo::json {

// True only for one whole value, at most `max_depth` deep, of which parse and dump() make the very same text: no blanks, keys in order
// and none twice. Of much that is canonical as well (bytes beyond ASCII, fractions) it answers false, to be on the safe side.
bool is_canonical(std::string_view text, int max_depth);

}  // namespace mo::json
