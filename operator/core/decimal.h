// Exact decimals, so that "0.92" is what the user typed and a threshold never hangs on a float.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace mo {

// A finite decimal number: digits * 10^-scale. Values, thread-safe as such.
// Texts with more than 18 significant digits are rounded half to even to 18 (Prometheus sends up to 17).
class Decimal {
 public:
  Decimal() = default;

  // Accepts "-12", "0.92", ".5", "1e-05", "9.5E3". Nothing for "", "NaN", "+Inf", "0x1", "1,5" or an exponent beyond +-30.
  static std::optional<Decimal> parse(std::string_view text);

  // The shortest plain text: "0.92", "12", never an exponent.
  std::string to_string() const;

  std::strong_ordering operator<=>(const Decimal& other) const;
  bool operator==(const Decimal& other) const { return (*this <=> other) == std::strong_ordering::equal; }

  // Exact while the result has at most 36 digits, else rounded.
  Decimal operator-(const Decimal& other) const;
  Decimal operator-() const;

 private:
  Decimal(__int128 digits, int scale) : digits_(digits), scale_(scale) {}
  __int128 digits_ = 0;
  int scale_ = 0;
};

}  // namespace mo
