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

TEST_CASE("a URI is shown without what only its readers may know") {
  CHECK(redact_uri("https://store/a/b.json") == "https://store/a/b.json");
  CHECK(redact_uri("https://jane:pass@store:8443/a") == "https://***@store:8443/a");
  CHECK(redact_uri("https://token@store") == "https://***@store");
  CHECK(redact_uri("https://a@b@store/x") == "https://***@store/x");
  CHECK(redact_uri("https://jane:pa/ss@store/a") == "https://***@store/a");
  CHECK(redact_uri("https://[::1]:80/a@b?X-Amz-Signature=abc&list&v=#k") == "https://[::1]:80/a@b?X-Amz-Signature=***&***&v=***#***");
  CHECK(redact_uri("https://store?abc") == "https://store?***");
  CHECK(redact_uri("oci://registry/repo@sha256:abc") == "oci://registry/repo@sha256:abc");
  CHECK(redact_uri("configmap://rules/model.json") == "configmap://rules/model.json");
  CHECK(redact_uri("pvc://claim/a?b=c") == "pvc://claim/a?b=***");
  CHECK(redact_uri("/api/v1/query?query=up") == "/api/v1/query?query=***");
  CHECK(redact_uri("https://") == "https://");
  CHECK(redact_uri("").empty());
}
