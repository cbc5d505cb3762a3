// Exact decimals, so that "0.92" is what the user typed and a threshold never hangs on a float.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace mo {

// A finite decimal number: digits * 10^-scale. Values, thread-safe as such.
// Texts are rounded half to even to 18 significant digits (Prometheus sends up to 17) and to 48 decimal
// places, so that a p-value of 1e-300 is a zero to compare with and not the absence of a value.
class Decimal {
 public:
  Decimal() = default;

  // Accepts "-12", "0.92", ".5", "5.", "1e-05", "9.5E3". Nothing for "", "NaN", "+Inf", "+1", "0x1", "1,5",
  // surrounding blanks, or a magnitude of 1e48 and more.
  static std::optional<Decimal> parse(std::string_view text);

  // The shortest plain text: "0.92", "12", never an exponent.
  std::string to_string() const;

  std::strong_ordering operator<=>(const Decimal& other) const;
  bool operator==(const Decimal& other) const { return digits_ == other.digits_ && scale_ == other.scale_; }

  // Exact while the result has at most 36 digits, else rounded half to even.
  Decimal operator-(const Decimal& other) const;
  Decimal operator-() const { return Decimal(-digits_, scale_); }

 private:
  __extension__ typedef __int128 Wide;  // g++ and clang have it, ISO C++ has not
  // Brings the value to its one form (no trailing zeros, zero has scale 0), so that equal values have equal
  // members.
  Decimal(Wide digits, int scale);
  Wide digits_ = 0;
  int scale_ = 0;
};

}  // namespace mo
