// SHA-256 of a text.
#pragma once

#include <string>
#include <string_view>

namespace mo {

// "sha256:" and 64 hexadecimal digits in lower case. Unlike hash_of() a proof against forgers. Throws std::runtime_error if
// OpenSSL cannot (a provider that forbids it).
std::string sha256_of(std::string_view bytes);

}  // namespace mo
