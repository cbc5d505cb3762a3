// How much worse is one share than another, and how certain is that? For accuracies, error rates and the like.
// Pure, and the same on every machine.
//
// The interval is the hybrid score interval for the difference of two independent proportions: R. G. Newcombe,
// "Interval estimation for the difference between independent proportions: comparison of eleven methods",
// Statistics in Medicine 17 (1998) 873-890, method 10, which combines E. B. Wilson's score intervals of both.
// Two tests come with it: the candidate is shown to be no worse than by a margin if the whole interval is below
// it (non-inferiority), and shown to be worse if the whole interval is above it. Why this method:
// - It keeps its level where gates live, with few samples and shares near 0 and 1. Wald's interval has no width
//   there and takes 20 requests without an error for a proof.
// - What decides is what people are shown.
// - It needs + - * / and square roots alone, which IEEE 754 rounds correctly. Farrington and Manning's score
//   test needs cosines, which are another number with another libm, and so, now and then, another verdict.
#pragma once

#include <optional>

#include "operator/core/decimal.h"

namespace mo::measure {

struct Share {
  double value = 0;    // 0 to 1
  double samples = 1;  // that it was taken from, at least 1; not always whole: Prometheus extrapolates
};

// Nothing for what is no share between 0 and 1 (but for the last digits of a quotient of floats), or is of less
// than one sample.
std::optional<Share> share(const Decimal& value, const Decimal& samples);

// The z of a one-sided confidence, by table: 0.8, 0.9, 0.95, 0.975, 0.99, 0.995 and 0.999; nothing for others.
std::optional<double> one_sided_z(const Decimal& confidence);

struct Interval {
  double low = 0, high = 0;
};

// Of a - b; each end for itself holds with the one-sided confidence of `z`.
Interval difference(const Share& a, const Share& b, double z);

// Rounded to four significant digits, for people.
Decimal rounded(double value);

// Exact to the last bit of a double; infinite for nothing that a Decimal can be.
double to_double(const Decimal& value);

}  // namespace mo::measure
