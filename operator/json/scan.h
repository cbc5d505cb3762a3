// Finding one's way in JSON text without building or indexing anything: where a value ends. Used to cut a
// list of megabytes into items, for which a parser would keep an index as large as the list itself. Strings,
// brackets and separators are told apart; whether numbers and words are spelt right is left to whoever parses
// the piece. Pure functions, thread-safe; no recursion.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace mo::json {

// The most brackets and braces that are open at once, outside of strings. For any bytes.
int depth_of(std::string_view text);

// Calls `visit(key, value)` for each member of the object that is the whole of `text`. `key` is as written
// between its quotes, escapes and all; `value` is the raw text without surrounding blanks. A visitor that
// returns false ends the walk. False if the text is not an object of well-paired members.
bool each_member(std::string_view text,
                 const std::function<bool(std::string_view key, std::string_view value)>& visit);

// The same for the items of an array.
bool each_item(std::string_view text, const std::function<bool(std::string_view item)>& visit);

}  // namespace mo::json
