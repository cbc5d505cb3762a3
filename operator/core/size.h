// Sizes in bytes as Kubernetes writes quantities.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mo {

// A whole number above zero, with k, M, G, T, Ki, Mi, Gi or Ti behind it or nothing: "500Mi" is 524288000. Nothing for any other
// text, and for what is beyond 2^63 - 1. Pure.
std::optional<uint64_t> parse_size(std::string_view text);

}  // namespace mo
