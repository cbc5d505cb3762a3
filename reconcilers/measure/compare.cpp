// Compiled without fused multiply-add (CMakeLists.txt): it would round differently where a machine has it.
#include "reconcilers/measure/compare.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

namespace mo::measure {
namespace {

// E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American
// Statistical Association 22 (1927) 209-212; without continuity correction.
Interval wilson(const Share& s, double z) {
  const double n = s.samples, p = s.value, z2 = z * z;
  const double middle = (2 * n * p + z2) / (2 * (n + z2));
  const double half = z * std::sqrt(z2 + 4 * n * p * (1 - p)) / (2 * (n + z2));
  return {middle - half, middle + half};
}

double length(double x, double y) { return std::sqrt(x * x + y * y); }

}  // namespace

double to_double(const Decimal& value) {
  const std::string text = value.to_string();
  double out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

Decimal rounded(double value) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific, 3).ptr;
  return Decimal::parse({text, static_cast<size_t>(end - text)}).value_or(Decimal());
}

std::optional<Share> share(const Decimal& value, const Decimal& samples) {
  constexpr double kFloatNoise = 1e-9;
  const double p = to_double(value), n = to_double(samples);
  if (p < -kFloatNoise || p > 1 + kFloatNoise || n < 1) return {};
  return Share{std::clamp(p, 0.0, 1.0), n};
}

std::optional<double> one_sided_z(const Decimal& confidence) {
  static constexpr std::pair<const char*, double> kTable[] = {
      {"0.8", 0.8416212335729143},   {"0.9", 1.2815515655446004},   {"0.95", 1.6448536269514722},
      {"0.975", 1.959963984540054},  {"0.99", 2.3263478740408408},  {"0.995", 2.5758293035489004},
      {"0.999", 3.090232306167813},
  };
  for (const auto& [level, z] : kTable)
    if (confidence == *Decimal::parse(level)) return z;
  return {};
}

Interval difference(const Share& a, const Share& b, double z) {
  const Interval of_a = wilson(a, z), of_b = wilson(b, z);
  const double d = a.value - b.value;
  return {std::max(-1.0, d - length(a.value - of_a.low, of_b.high - b.value)),
          std::min(1.0, d + length(of_a.high - a.value, b.value - of_b.low))};
}

}  // namespace mo::measure
