#include "operator/core/decimal.h"

#include <algorithm>
#include <utility>

#include "operator/core/ascii.h"

namespace mo {
namespace {

__extension__ typedef __int128 Wide;

constexpr int kParsedDigits = 18;  // kept from a text
constexpr int kDigits = 36;        // kept from a difference
constexpr int kMaxScale = 48;      // decimal places
constexpr int kMaxMagnitude = 48;  // digits before the point

Wide power_of_ten(int n) {
  Wide p = 1;
  while (n-- > 0) p *= 10;
  return p;
}

int count_digits(Wide value) {
  if (value < 0) value = -value;
  int n = 0;
  for (; value != 0; value /= 10) ++n;
  return n;
}

// value / 10^n, half to even.
Wide shift_right(Wide value, int n) {
  if (n <= 0) return value;
  if (n > kDigits + 1) return 0;
  const Wide p = power_of_ten(n);
  Wide quotient = value / p;
  Wide rest = value % p;
  const int sign = value < 0 ? -1 : 1;
  if (rest < 0) rest = -rest;
  // `p - rest` instead of `2 * rest`, which may overflow.
  const bool up = rest > p - rest || (rest == p - rest && quotient % 2 != 0);
  return up ? quotient + sign : quotient;
}

// Reads "[+-]digits"; an exponent of any length saturates.
std::optional<int> parse_exponent(std::string_view text) {
  bool negative = false;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  int value = 0;
  for (char c : text) value = std::min(100000, value * 10 + (c - '0'));
  return negative ? -value : value;
}

// The digits of "12.34" without the point, leading zeros dropped, cut after kParsedDigits; how they were cut
// decides the rounding.
struct Mantissa {
  Wide digits = 0;
  int kept = 0;
  long scale = 0;  // decimal places of `digits`; negative when integer digits were cut
  int first_cut = 0;
  bool more_cut = false;  // anything but zeros after the first digit that was cut

  void add(int digit, bool after_point) {
    if (kept < kParsedDigits) {
      digits = digits * 10 + digit;
      if (digits != 0) ++kept;
      if (after_point) ++scale;
      return;
    }
    if (kept == kParsedDigits) {
      first_cut = digit;
      ++kept;
    } else {
      more_cut = more_cut || digit != 0;
    }
    if (!after_point) --scale;
  }
  void round() {
    if (first_cut > 5 || (first_cut == 5 && (more_cut || digits % 2 != 0))) ++digits;
  }
};

std::optional<Mantissa> parse_mantissa(std::string_view text) {
  Mantissa m;
  bool point = false, any = false;
  for (char c : text) {
    if (c == '.' && !point) {
      point = true;
    } else if (is_digit(c)) {
      any = true;
      m.add(c - '0', point);
    } else {
      return std::nullopt;
    }
  }
  if (!any) return std::nullopt;
  m.round();
  return m;
}

}  // namespace

Decimal::Decimal(Wide digits, int scale) : digits_(digits), scale_(scale) {
  if (digits_ == 0) scale_ = 0;
  while (digits_ != 0 && digits_ % 10 == 0) {
    digits_ /= 10;
    --scale_;
  }
}

std::optional<Decimal> Decimal::parse(std::string_view text) {
  if (text.size() > 4096) return std::nullopt;
  const bool negative = !text.empty() && text[0] == '-';
  if (negative) text.remove_prefix(1);
  int exponent = 0;
  if (const size_t e = text.find_first_of("eE"); e != std::string_view::npos) {
    const auto parsed = parse_exponent(text.substr(e + 1));
    if (!parsed) return std::nullopt;
    exponent = *parsed;
    text = text.substr(0, e);
  }
  auto mantissa = parse_mantissa(text);
  if (!mantissa) return std::nullopt;
  long scale = mantissa->scale - exponent;
  Wide digits = mantissa->digits;
  if (digits == 0) return Decimal();
  if (count_digits(digits) - scale > kMaxMagnitude) return std::nullopt;
  if (scale > kMaxScale) {
    digits = shift_right(digits, static_cast<int>(scale - kMaxScale));
    scale = kMaxScale;
  }
  return Decimal(negative ? -digits : digits, static_cast<int>(scale));
}

std::string Decimal::to_string() const {
  if (digits_ == 0) return "0";
  std::string text;
  for (Wide rest = digits_ < 0 ? -digits_ : digits_; rest != 0; rest /= 10) {
    text.push_back(static_cast<char>('0' + static_cast<int>(rest % 10)));
  }
  if (scale_ > 0 && text.size() <= static_cast<size_t>(scale_)) text.append(scale_ + 1 - text.size(), '0');
  std::reverse(text.begin(), text.end());
  if (scale_ > 0) text.insert(text.size() - scale_, 1, '.');
  if (scale_ < 0) text.append(-scale_, '0');
  return digits_ < 0 ? "-" + text : text;
}

std::strong_ordering Decimal::operator<=>(const Decimal& other) const {
  const auto sign = [](Wide v) { return v < 0 ? -1 : v > 0 ? 1 : 0; };
  const int mine = sign(digits_), theirs = sign(other.digits_);
  if (mine != theirs) return mine <=> theirs;
  if (mine == 0) return std::strong_ordering::equal;
  // Same sign: first where the leading digits stand, so that no alignment ever overflows.
  const int digits = count_digits(digits_), other_digits = count_digits(other.digits_);
  const int lead = digits - scale_, other_lead = other_digits - other.scale_;
  if (lead != other_lead) return mine > 0 ? lead <=> other_lead : other_lead <=> lead;
  const Wide a = digits_ * power_of_ten(std::max(0, other_digits - digits));
  const Wide b = other.digits_ * power_of_ten(std::max(0, digits - other_digits));
  return a < b   ? std::strong_ordering::less
         : a > b ? std::strong_ordering::greater
                 : std::strong_ordering::equal;
}

Decimal Decimal::operator-(const Decimal& other) const {
  if (digits_ == 0) return -other;
  if (other.digits_ == 0) return *this;
  Wide a = digits_, b = -other.digits_;
  int a_scale = scale_, b_scale = other.scale_;
  if (count_digits(a) - a_scale < count_digits(b) - b_scale) {
    std::swap(a, b);
    std::swap(a_scale, b_scale);
  }
  // `a` leads. It is widened to at most 37 digits, one more than is kept, so that 1 - 0.99…9 comes out exact.
  if (a_scale < b_scale) {
    const int widened = std::min(b_scale - a_scale, kDigits + 1 - count_digits(a));
    a *= power_of_ten(widened);
    a_scale += widened;
    b = shift_right(b, b_scale - a_scale);
  } else {
    b *= power_of_ten(a_scale - b_scale);
  }
  const Wide sum = a + b;
  const int excess = std::max(0, count_digits(sum) - kDigits);
  return Decimal(shift_right(sum, excess), a_scale - excess);
}

}  // namespace mo
