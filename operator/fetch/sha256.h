// SHA-256 over bytes that come in pieces.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace mo::fetch {

// Not thread-safe. Throws std::runtime_error if OpenSSL cannot (no memory, or a provider that forbids it).
class Sha256 {
 public:
  Sha256();
  void add(std::string_view bytes);
  // "sha256:" and 64 hexadecimal digits in lower case. Starts anew afterwards.
  std::string finish();

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;
};

// Of a file, or nothing with errno if it cannot be read.
std::optional<std::string> digest_of_file(const std::filesystem::path& path);

// As finish() writes it.
bool is_digest(std::string_view text);

}  // namespace mo::fetch
