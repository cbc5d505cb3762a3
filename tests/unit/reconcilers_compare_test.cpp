// Newcombe's interval against his own table, and what must hold of it for any numbers.
#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <cmath>

#include "reconcilers/measure/compare.h"

namespace mo::measure {
namespace {

Decimal dec(const char* text) { return *Decimal::parse(text); }
Share of(double hits, double samples) { return {hits / samples, samples}; }

constexpr double kTwoSided95 = 1.959963984540054;

rc::Gen<Share> any_share() {
  return rc::gen::map(rc::gen::pair(rc::gen::inRange(0, 100'001), rc::gen::inRange(1, 1'000'001)), [](const auto& drawn) {
    return Share{drawn.first / 100'000.0, static_cast<double>(drawn.second)};
  });
}

}  // namespace

// Newcombe 1998, table II, method 10.
TEST_CASE("the interval is the published one") {
  struct Row {
    double a, m, b, n, low, high;
  };
  const Row rows[] = {
      {56, 70, 48, 80, 0.0524, 0.3339},  {9, 10, 3, 10, 0.1705, 0.8090},  {6, 7, 2, 7, 0.0582, 0.8062},
      {5, 56, 0, 29, -0.0381, 0.1926},   {0, 10, 0, 20, -0.1611, 0.2775}, {0, 10, 0, 10, -0.2775, 0.2775},
      {10, 10, 0, 20, 0.6791, 1.0000},   {10, 10, 0, 10, 0.6075, 1.0000},
  };
  for (const Row& row : rows) {
    INFO(row.a << "/" << row.m << " - " << row.b << "/" << row.n);
    const Interval found = difference(of(row.a, row.m), of(row.b, row.n), kTwoSided95);
    CHECK(found.low == Approx(row.low).margin(0.00005));
    CHECK(found.high == Approx(row.high).margin(0.00005));
  }
}

// To the last bit: two machines that differ here could come to two verdicts.
TEST_CASE("the interval is the same on every machine") {
  const Interval found = difference(of(56, 70), of(48, 80), *one_sided_z(dec("0.95")));
  CHECK(found.low == 0x1.399b5fab9f9dep-4);
  CHECK(found.high == 0x1.412c0bb439a2p-2);
}

TEST_CASE("what must hold of any two shares") {
  CHECK(rc::check("the interval holds the difference and lies between -1 and 1", [] {
    const Share a = *any_share(), b = *any_share();
    const Interval found = difference(a, b, 1.6448536269514722);
    RC_ASSERT(found.low <= a.value - b.value + 1e-12);
    RC_ASSERT(found.high >= a.value - b.value - 1e-12);
    RC_ASSERT(found.low >= -1 && found.high <= 1);
  }));
  CHECK(rc::check("the other way round it is the mirror image", [] {
    const Share a = *any_share(), b = *any_share();
    const Interval one = difference(a, b, 2.0), other = difference(b, a, 2.0);
    RC_ASSERT(std::abs(one.low + other.high) < 1e-9);
    RC_ASSERT(std::abs(one.high + other.low) < 1e-9);
  }));
  CHECK(rc::check("an error rate and its share of successes tell the same", [] {
    const Share a = *any_share(), b = *any_share();
    const Interval errors = difference(a, b, 2.0);
    const Interval successes = difference({1 - b.value, b.samples}, {1 - a.value, a.samples}, 2.0);
    RC_ASSERT(std::abs(errors.low - successes.low) < 1e-9);
    RC_ASSERT(std::abs(errors.high - successes.high) < 1e-9);
  }));
  CHECK(rc::check("ten times the samples narrow it, more confidence widens it", [] {
    const Share a = *any_share(), b = *any_share();
    const auto width = [](const Interval& i) { return i.high - i.low; };
    const double once = width(difference(a, b, 1.6));
    RC_ASSERT(width(difference({a.value, a.samples * 10}, {b.value, b.samples * 10}, 1.6)) <= once + 1e-12);
    RC_ASSERT(width(difference(a, b, 2.3)) >= once - 1e-12);
  }));
}

// The level is kept over all samples that could come, not on average over some: the exact sum over the binomial
// distributions. Newcombe's method may exceed it by a little; by half it must not.
TEST_CASE("a candidate that is worse by exactly the margin rarely passes") {
  const auto choose = [](int n, double p) {
    std::vector<double> of(n + 1);
    for (int k = 0; k <= n; ++k)
      of[k] = std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) + k * std::log(p) + (n - k) * std::log(1 - p));
    return of;
  };
  constexpr int kCandidate = 120, kStable = 300;
  for (const double stable_rate : {0.01, 0.05, 0.2, 0.5}) {
    const double margin = 0.05;
    const auto stable = choose(kStable, stable_rate), candidate = choose(kCandidate, stable_rate + margin);
    double passes = 0, fails = 0;
    for (int i = 0; i <= kCandidate; ++i)
      for (int j = 0; j <= kStable; ++j) {
        const Interval worse = difference(of(i, kCandidate), of(j, kStable), *one_sided_z(dec("0.95")));
        if (worse.high <= margin) passes += candidate[i] * stable[j];
        if (worse.low > margin) fails += candidate[i] * stable[j];
      }
    INFO("stable's error rate " << stable_rate << ": " << passes << " pass, " << fails << " fail");
    CHECK(passes < 0.075);
    CHECK(fails < 0.075);
  }
}

TEST_CASE("shares and confidences that are none") {
  CHECK(share(dec("0.5"), dec("1")));
  CHECK(share(dec("0"), dec("12.5")));
  CHECK(share(dec("1.0000000000000002"), dec("10"))->value == 1);
  CHECK(share(dec("-1e-17"), dec("10"))->value == 0);
  CHECK_FALSE(share(dec("1.01"), dec("10")));
  CHECK_FALSE(share(dec("-0.01"), dec("10")));
  CHECK_FALSE(share(dec("0.5"), dec("0.99")));
  CHECK_FALSE(share(dec("0.5"), dec("-5")));
  CHECK(one_sided_z(dec("0.90")) == one_sided_z(dec("9e-1")));
  for (const char* level : {"0.8", "0.9", "0.95", "0.975", "0.99", "0.995", "0.999"}) {
    INFO(level);
    // Against the normal distribution itself.
    CHECK(0.5 * std::erfc(-*one_sided_z(dec(level)) / std::sqrt(2.0)) == Approx(to_double(dec(level))).epsilon(1e-14));
  }
  CHECK_FALSE(one_sided_z(dec("0.96")));
  CHECK_FALSE(one_sided_z(dec("95")));
}

TEST_CASE("numbers for people") {
  CHECK(rounded(0.0123456).to_string() == "0.01235");
  CHECK(rounded(-0.00001).to_string() == "-0.00001");
  CHECK(rounded(0).to_string() == "0");
  CHECK(rounded(1).to_string() == "1");
  CHECK(to_double(dec("0.005")) == 0.005);
  CHECK(to_double(dec("-12")) == -12);
}

}  // namespace mo::measure
