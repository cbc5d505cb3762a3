#include "operator/fetch/sha256.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <vector>

namespace mo::fetch {
namespace {
constexpr std::string_view kPrefix = "sha256:";
EVP_MD_CTX* evp(void* context) { return static_cast<EVP_MD_CTX*>(context); }
void check(int ok) {
  if (ok != 1) throw std::runtime_error("OpenSSL cannot compute SHA-256");
}
}  // namespace

void Sha256::Free::operator()(void* context) const { EVP_MD_CTX_free(evp(context)); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  if (!context_) throw std::runtime_error("OpenSSL cannot compute SHA-256");
  check(EVP_DigestInit_ex(evp(context_.get()), EVP_sha256(), nullptr));
}

void Sha256::add(std::string_view bytes) {
  check(EVP_DigestUpdate(evp(context_.get()), bytes.data(), bytes.size()));
}

std::string Sha256::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned int length = 0;
  check(EVP_DigestFinal_ex(evp(context_.get()), bytes.data(), &length));
  check(EVP_DigestInit_ex(evp(context_.get()), EVP_sha256(), nullptr));
  std::string text(kPrefix);
  for (unsigned int i = 0; i < length; ++i) {
    constexpr const char* hex = "0123456789abcdef";
    text += {hex[bytes[i] >> 4], hex[bytes[i] & 15]};
  }
  return text;
}

std::optional<std::string> digest_of_file(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  Sha256 hash;
  std::vector<char> buffer(1u << 20);
  ssize_t got = 0;
  while ((got = ::read(file, buffer.data(), buffer.size())) > 0 || (got < 0 && errno == EINTR))
    if (got > 0) hash.add({buffer.data(), static_cast<size_t>(got)});
  const int error = errno;
  ::close(file);
  errno = error;
  return got < 0 ? std::nullopt : std::optional(hash.finish());
}

bool is_digest(std::string_view text) {
  return text.size() == kPrefix.size() + 64 && text.starts_with(kPrefix) &&
         text.substr(kPrefix.size()).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace mo::fetch
