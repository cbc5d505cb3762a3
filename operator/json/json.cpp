#include "operator/json/json.h"

#include "operator/core/text.h"
#include "operator/json/scan.h"

namespace mo {
namespace {

// "[json.exception.parse_error.101] parse error at line 1, column 5: …" without what only a programmer needs.
std::string without_id(std::string what) {
  const size_t end = what.rfind('[', 0) == 0 ? what.find("] ") : std::string::npos;
  return end == std::string::npos ? what : what.substr(end + 2);
}

}  // namespace

Result<Json> parse_json(std::string_view text, size_t max_bytes, int max_depth) {
  if (text.size() > max_bytes) {
    return fail(ErrorKind::Malformed, "the JSON text has " + std::to_string(text.size()) +
                                          " bytes, more than the " + std::to_string(max_bytes) + " allowed");
  }
  if (json::depth_of(text) > max_depth) {
    return fail(ErrorKind::Malformed,
                "the JSON text is nested deeper than " + std::to_string(max_depth) + " levels");
  }
  // The parser would take it for the end and pass over what follows.
  if (const size_t zero = text.find('\0'); zero != std::string_view::npos)
    return fail(ErrorKind::Malformed, "the JSON text has a zero byte at " + std::to_string(zero + 1));
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const Json::exception& e) {
    return fail(ErrorKind::Malformed, whole_characters(without_id(e.what())));  // it quotes up to the byte it failed at
  }
}

void Hasher::add(std::string_view bytes) {
  for (unsigned char byte : bytes) state_ = (state_ ^ byte) * 1099511628211u;
}

std::string Hasher::hex() const {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text(16, '0');
  uint64_t rest = state_;
  for (int i = 15; i >= 0; --i, rest >>= 4) text[i] = kHex[rest & 15];
  return text;
}

std::string hash_of(std::string_view bytes) {
  Hasher hasher;
  hasher.add(bytes);
  return hasher.hex();
}

}  // namespace mo
