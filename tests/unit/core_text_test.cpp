#include <catch2/catch.hpp>

#include "operator/core/text.h"

using namespace mo;

// A result whose 1,024th byte was in the middle of a character froze its Model: dump() threw at every reconcile.
TEST_CASE("a text is cut between characters, and what is no UTF-8 is replaced") {
  CHECK(whole_characters("abc", 3) == "abc");
  CHECK(whole_characters("abc", 2) == "ab");
  CHECK(whole_characters("a\u00e9", 2) == "a");
  CHECK(whole_characters("a\u00e9", 3) == "a\u00e9");
  CHECK(whole_characters("\U0001F600x", 3).empty());
  CHECK(whole_characters("", 3).empty());
  CHECK(whole_characters("caf\xe9 x") == "caf? x");             // Latin-1
  CHECK(whole_characters("a\xc3") == "a?");                     // cut before
  CHECK(whole_characters("\xed\xa0\x80\xc0\xaf") == "?????");  // a surrogate, an overlong form
}
