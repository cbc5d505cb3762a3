#include "operator/kube/files.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "operator/core/text.h"

namespace mo::kube {
namespace {

constexpr std::string_view white = " \t\r\n";

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

}  // namespace

std::string error_text(int error) { return std::error_code(error, std::generic_category()).message(); }

Result<std::string> read_file(const std::filesystem::path& file, size_t max_bytes) {
  const Descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (in.fd < 0) return fail(ErrorKind::Invalid, "cannot read " + file.string() + ": " + error_text(errno));
  std::string content;
  char piece[16384];
  for (;;) {
    const ssize_t got = ::read(in.fd, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(ErrorKind::Invalid, "cannot read " + file.string() + ": " + error_text(errno));
    if (got == 0) return content;
    content.append(piece, static_cast<size_t>(got));
    if (content.size() > max_bytes) {
      return fail(ErrorKind::Invalid,
                  file.string() + " is longer than " + std::to_string(max_bytes) + " bytes");
    }
  }
}

std::string file_stamp(const std::filesystem::path& file) {
  struct stat s {};
  if (::stat(file.c_str(), &s) != 0) return {};
  return std::to_string(s.st_dev) + " " + std::to_string(s.st_ino) + " " + std::to_string(s.st_size) + " " +
         std::to_string(s.st_mtim.tv_sec) + "." + std::to_string(s.st_mtim.tv_nsec) + " " +
         std::to_string(s.st_ctim.tv_sec) + "." + std::to_string(s.st_ctim.tv_nsec);
}

std::string trimmed(std::string_view text) {
  const size_t from = text.find_first_not_of(white);
  if (from == std::string_view::npos) return {};
  return std::string(text.substr(from, text.find_last_not_of(white) - from + 1));
}

std::optional<std::string> decode_base64(std::string_view text) {
  std::string packed;
  for (const char c : text) {
    if (white.find(c) == std::string_view::npos) packed += c;
  }
  if (packed.empty()) return std::string();
  const size_t padding = packed.ends_with("==") ? 2 : packed.ends_with("=") ? 1 : 0;
  if (packed.size() % 4 != 0 || packed.find('=') < packed.size() - padding) return std::nullopt;
  std::string bytes(packed.size() / 4 * 3, '\0');
  const int got =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                      reinterpret_cast<const unsigned char*>(packed.data()), static_cast<int>(packed.size()));
  if (got < 0) return std::nullopt;
  bytes.resize(static_cast<size_t>(got) - padding);  // EVP_DecodeBlock counts the padding as zero bytes
  return bytes;
}

std::string encode_base64(std::string_view bytes) {
  std::string text(bytes.size() / 3 * 4 + 5, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(length));
  return text;
}

std::string bounded_text(std::string_view text, size_t max_bytes) {
  std::string clean;
  bool in_tag = false, gap = false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '<') in_tag = true;
    const bool skip = in_tag || byte <= ' ' || byte == 0x7f;
    if (c == '>') in_tag = false;
    if (skip) {
      gap = true;
      continue;
    }
    if (gap && !clean.empty()) clean += ' ';
    gap = false;
    clean += c;
    if (clean.size() > max_bytes) break;
  }
  return clean.size() <= max_bytes ? whole_characters(clean) : whole_characters(clean, max_bytes) + "…";
}

}  // namespace mo::kube
