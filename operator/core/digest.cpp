#include "operator/core/digest.h"

#include <openssl/evp.h>

#include <array>
#include <stdexcept>

namespace mo {

std::string sha256_of(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("OpenSSL cannot compute SHA-256");
  std::string text = "sha256:";
  for (unsigned int i = 0; i < length; ++i) {
    constexpr const char* kHex = "0123456789abcdef";
    text += {kHex[digest[i] >> 4], kHex[digest[i] & 15]};
  }
  return text;
}

}  // namespace mo
