#include <catch2/catch.hpp>

#include "operator/core/decimal.h"

using mo::Decimal;

namespace {

Decimal dec(const char* text) {
  const auto parsed = Decimal::parse(text);
  INFO(text);
  REQUIRE(parsed);
  return *parsed;
}

std::string normal(const std::string& text) {
  const auto parsed = Decimal::parse(text);
  return parsed ? parsed->to_string() : "nothing";
}

}  // namespace

TEST_CASE("a decimal prints as the shortest plain text", "[core]") {
  CHECK(normal("0.92") == "0.92");
  CHECK(normal("-12") == "-12");
  CHECK(normal(".5") == "0.5");
  CHECK(normal("5.") == "5");
  CHECK(normal("1e-05") == "0.00001");
  CHECK(normal("9.5E3") == "9500");
  CHECK(normal("1e+3") == "1000");
  CHECK(normal("007.100") == "7.1");
  CHECK(normal("-0") == "0");
  CHECK(normal("0.000e7") == "0");
  CHECK(normal("0e99999999999999999999") == "0");
  CHECK(normal("1e30") == "1" + std::string(30, '0'));
  CHECK(normal("1e-30") == "0." + std::string(29, '0') + "1");
  CHECK(normal("0.94736842105263153") == "0.94736842105263153");
}

TEST_CASE("what is no decimal is nothing", "[core]") {
  for (const char* text :
       {"",      "-",   ".",   "+",     "NaN",   "nan",          "Inf",  "+Inf",
        "-Inf",  "0x1", "1,5", " 1",    "1 ",    "1e",           "1e+",  "e5",
        "1.2.3", "--1", "+1",  "1e5e5", "1_000", "\xef\xbc\x91", "1e48", "1e99999999999999999999"}) {
    INFO(text);
    CHECK_FALSE(Decimal::parse(text));
  }
  CHECK_FALSE(Decimal::parse(std::string(49, '9')));
  CHECK_FALSE(Decimal::parse(std::string(100000, '9')));
  CHECK_FALSE(Decimal::parse(std::string("1\0", 2)));
}

TEST_CASE("more than 18 digits round half to even", "[core]") {
  CHECK(normal("1.0000000000000000049999") == "1");
  CHECK(normal("1.00000000000000000500") == "1");
  CHECK(normal("1.00000000000000000501") == "1.00000000000000001");
  CHECK(normal("1.00000000000000001500") == "1.00000000000000002");
  CHECK(normal("999999999999999999.5") == "1000000000000000000");
  CHECK(normal("-0.9999999999999999999") == "-1");
  CHECK(normal("1234567890123456785") == "1234567890123456780");
  CHECK(normal("12345678901234567850000001") == "12345678901234567900000000");
}

// Prometheus answers with p-values such as 4.9e-324. "No value" would make a gate inconclusive that has a
// clear answer.
TEST_CASE("a tiny value is zero and not nothing", "[core]") {
  CHECK(normal("4.9e-324") == "0");
  CHECK(normal("-1e-49") == "0");
  CHECK(dec("1e-48") > dec("0"));
  CHECK(dec("1e-99999999999999999999") == dec("0"));
}

TEST_CASE("decimals compare by value", "[core]") {
  const char* ascending[] = {"-1e47", "-10", "-9.99", "-1e-48", "0",   "1e-48", "0.1", "0.10000000000000001",
                             "0.92",  "1",   "9.99",  "10",     "1e47"};
  for (size_t i = 0; i < std::size(ascending); ++i) {
    for (size_t k = 0; k < std::size(ascending); ++k) {
      INFO(ascending[i] << " and " << ascending[k]);
      CHECK((dec(ascending[i]) < dec(ascending[k])) == (i < k));
      CHECK((dec(ascending[i]) == dec(ascending[k])) == (i == k));
    }
  }
  CHECK(dec("0.920") == dec("0.92"));
  CHECK(dec("100") == dec("1e2"));
}

TEST_CASE("differences are exact as far as 36 digits go", "[core]") {
  CHECK((dec("0.947") - dec("0.942")).to_string() == "0.005");
  CHECK((dec("0.3") - dec("0.1")).to_string() == "0.2");
  CHECK((dec("1") - dec("1")).to_string() == "0");
  CHECK((dec("1") - dec("-1")).to_string() == "2");
  CHECK((dec("0") - dec("0.5")).to_string() == "-0.5");
  CHECK((-dec("0.5")).to_string() == "-0.5");
  CHECK((dec("1") - dec("1e-36")).to_string() == "0." + std::string(36, '9'));
  CHECK((dec("1") - dec("1e-48")).to_string() == "1");
  CHECK((dec("1e47") - dec("1e-48")).to_string() == "1" + std::string(47, '0'));
  CHECK((dec("999999999999999999e20") - dec("-999999999999999999e20")).to_string() ==
        "1999999999999999998" + std::string(20, '0'));
}
