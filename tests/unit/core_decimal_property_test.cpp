#include <rapidcheck.h>

#include <catch2/catch.hpp>

#include "operator/core/decimal.h"

using mo::Decimal;

namespace {

// Digits and a point anywhere, as a person or a program may write it.
rc::Gen<std::string> texts() {
  return rc::gen::map(rc::gen::tuple(rc::gen::arbitrary<int64_t>(), rc::gen::inRange(-30, 31)),
                      [](const std::tuple<int64_t, int>& t) {
                        return std::to_string(std::get<0>(t) % 1'000'000'000'000'000'000) + "e" +
                               std::to_string(std::get<1>(t));
                      });
}

Decimal dec(const std::string& text) {
  const auto parsed = Decimal::parse(text);
  RC_ASSERT(parsed.has_value());
  return *parsed;
}

}  // namespace

TEST_CASE("decimals: what was printed reads back the same", "[core]") {
  CHECK(rc::check([] {
    const Decimal d = dec(*texts());
    RC_ASSERT(dec(d.to_string()) == d);
  }));
}

TEST_CASE("decimals: order and difference agree", "[core]") {
  CHECK(rc::check([] {
    const Decimal a = dec(*texts()), b = dec(*texts()), zero;
    RC_ASSERT((a < b) == (b > a));
    RC_ASSERT((a == b) == !(a < b || a > b));
    RC_ASSERT(((a - b) < zero) == (a < b));
    RC_ASSERT((a - b) == -(b - a));
    RC_ASSERT((a - zero) == a);
  }));
}

TEST_CASE("decimals: a number less itself plus a step is the step", "[core]") {
  CHECK(rc::check([](int32_t number, uint16_t step) {
    const Decimal a = dec(std::to_string(number) + "e-4"), s = dec(std::to_string(step) + "e-7");
    RC_ASSERT(((a - (-s)) - a) == s);
  }));
}
