#include "operator/fetch/credentials.h"

#include <openssl/evp.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <vector>

#include "operator/json/json.h"

namespace mo::fetch {
namespace {

namespace fs = std::filesystem;

constexpr std::streamsize kLargest = 64 << 10;  // bytes; servers take no longer headers

tl::unexpected<Error> unusable(const char* key, const std::string& why) {
  return fail(ErrorKind::Unauthorized, "the Secret of artifact.credentials has a key " + std::string(key) + " that " + why);
}

}  // namespace

std::optional<std::string> read_key(const fs::path& folder, const char* key) {
  std::ifstream in(folder / key, std::ios::binary);
  if (!in) return std::nullopt;
  std::string text(kLargest, '\0');
  in.read(text.data(), kLargest);
  text.resize(static_cast<size_t>(in.gcount()));
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  return text;
}

bool is_plain(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

std::string base64(const std::string& text) {
  std::vector<unsigned char> out(4 * ((text.size() + 2) / 3) + 1);
  const int size = EVP_EncodeBlock(out.data(), reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  return {reinterpret_cast<const char*>(out.data()), static_cast<size_t>(size)};
}

Result<std::string> read_authorization(const fs::path& folder) {
  if (const auto token = read_key(folder, "token")) {
    if (!is_plain(*token) || token->find(' ') != std::string::npos)
      return unusable("token", "is empty or contains spaces or control characters");
    return "Bearer " + *token;
  }
  const auto user = read_key(folder, "username"), password = read_key(folder, "password");
  if (!user || !password)
    return fail(ErrorKind::Unauthorized,
                "the Secret of artifact.credentials does not exist, or has neither the key token nor username and password");
  if (!is_plain(*user) || user->find(':') != std::string::npos)
    return unusable("username", "is empty or contains colons or control characters");
  if (!is_plain(*password)) return unusable("password", "is empty or contains control characters");
  return "Basic " + base64(*user + ":" + *password);
}

namespace {

// "https://index.docker.io/v1/" is docker.io.
std::string registry_of(std::string entry) {
  if (const size_t scheme = entry.find("://"); scheme != std::string::npos) entry.erase(0, scheme + 3);
  entry.resize(std::min(entry.find('/'), entry.size()));
  return entry == "index.docker.io" || entry == "registry-1.docker.io" ? "docker.io" : entry;
}

std::string text_at(const Json& object, const char* name) {
  const auto it = object.is_object() ? object.find(name) : object.end();
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

Result<std::string> account_in(const std::string& config, const std::string& registry) {
  const Result<Json> parsed = parse_json(config, kLargest);
  if (!parsed || !parsed->is_object()) return unusable(".dockerconfigjson", "is no JSON object");
  const Json auths = parsed->value("auths", Json());
  if (!auths.is_object()) return unusable(".dockerconfigjson", "has no auths");
  for (const auto& [name, entry] : auths.items()) {
    if (registry_of(name) != registry_of(registry)) continue;
    const std::string encoded = text_at(entry, "auth"), user = text_at(entry, "username");
    const std::string account = encoded.empty() ? base64(user + ":" + text_at(entry, "password")) : encoded;
    if ((encoded.empty() && user.empty()) || !is_plain(account) || account.find(' ') != std::string::npos)
      return unusable(".dockerconfigjson", "has an entry for this registry without auth or username");
    return "Basic " + account;
  }
  return unusable(".dockerconfigjson", "has no entry for registry " + registry);
}

}  // namespace

Result<std::string> read_registry_account(const fs::path& folder, const std::string& registry) {
  if (const auto config = read_key(folder, ".dockerconfigjson")) return account_in(*config, registry);
  auto account = read_authorization(folder);
  std::error_code error;
  if (!account && fs::exists(folder / "ca.crt", error) && !fs::exists(folder / "username", error) && !fs::exists(folder / "token", error)) return "";
  return account;
}

fs::path ca_file(const fs::path& folder) {
  std::error_code error;
  const fs::path file = folder / "ca.crt";
  return fs::is_regular_file(file, error) ? file : fs::path();
}

}  // namespace mo::fetch
