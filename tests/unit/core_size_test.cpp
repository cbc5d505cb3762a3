#include <catch2/catch.hpp>

#include "operator/core/size.h"

using namespace mo;

TEST_CASE("sizes are whole numbers of bytes with a unit") {
  CHECK(parse_size("1") == 1);
  CHECK(parse_size("5k") == 5000);
  CHECK(parse_size("500Mi") == 500ull << 20);
  CHECK(parse_size("2Gi") == 2ull << 30);
  CHECK(parse_size("3T") == 3'000'000'000'000);
  CHECK(parse_size("8388607Ti") == 8388607ull << 40);
  for (const char* bad : {"", "0", "-1", "1.5Gi", "1 Gi", "Gi", "1gi", "1Pi", "8388608Ti", "99999999999999999999", "+1", "1e3"}) {
    INFO(bad);
    CHECK_FALSE(parse_size(bad));
  }
}
