#include "operator/fetch/credentials.h"

#include <openssl/evp.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <vector>

namespace mo::fetch {
namespace {

namespace fs = std::filesystem;

constexpr std::streamsize kLargest = 64 << 10;  // bytes; servers take no longer headers

std::optional<std::string> read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return std::nullopt;
  std::string text(kLargest, '\0');
  in.read(text.data(), kLargest);
  text.resize(static_cast<size_t>(in.gcount()));
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  return text;
}

// Anything else could end the header and begin another.
bool plain(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

std::string base64(const std::string& text) {
  std::vector<unsigned char> out(4 * ((text.size() + 2) / 3) + 1);
  const int size = EVP_EncodeBlock(out.data(), reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  return {reinterpret_cast<const char*>(out.data()), static_cast<size_t>(size)};
}

tl::unexpected<Error> unusable(const char* key, const char* why) {
  return fail(ErrorKind::Unauthorized, "the Secret of artifact.credentials has a key " + std::string(key) + " that " + why);
}

}  // namespace

Result<std::string> read_authorization(const fs::path& folder) {
  if (const auto token = read(folder / "token")) {
    if (!plain(*token) || token->find(' ') != std::string::npos)
      return unusable("token", "is empty or holds blanks or control characters");
    return "Bearer " + *token;
  }
  const auto user = read(folder / "username"), password = read(folder / "password");
  if (!user || !password)
    return fail(ErrorKind::Unauthorized,
                "the Secret of artifact.credentials does not exist, or has neither the key token nor username and password");
  if (!plain(*user) || user->find(':') != std::string::npos)
    return unusable("username", "is empty or holds colons or control characters");
  if (!plain(*password)) return unusable("password", "is empty or holds control characters");
  return "Basic " + base64(*user + ":" + *password);
}

fs::path ca_file(const fs::path& folder) {
  std::error_code error;
  const fs::path file = folder / "ca.crt";
  return fs::is_regular_file(file, error) ? file : fs::path();
}

}  // namespace mo::fetch
