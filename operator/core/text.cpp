#include "operator/core/text.h"

#include <algorithm>

namespace mo {
namespace {

constexpr const char* kHidden = "***";

// Where the host begins in `uri` after `start`. A password with a slash in it makes a port that is no number: then everything up
// to the last "@" counts as user information.
size_t host_of(std::string_view uri, size_t start) {
  const std::string_view authority = uri.substr(start, uri.find_first_of("/?#", start) - start);
  size_t at = authority.rfind('@');
  const size_t colon = authority.rfind(':');
  const bool port = colon == std::string_view::npos || authority.find(']', colon) != std::string_view::npos ||
                    authority.find_first_not_of("0123456789", colon + 1) == std::string_view::npos;
  if (at == std::string_view::npos && !port) at = uri.substr(start).rfind('@');
  return at == std::string_view::npos ? start : start + at + 1;
}

// "a=1&b" becomes "a=***&***".
std::string redact_query(std::string_view query) {
  std::string out;
  while (true) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    const size_t equals = pair.find('=');
    if (equals != std::string_view::npos) out += pair.substr(0, equals + 1);
    if (!pair.empty()) out += kHidden;
    if (end == query.size()) return out;
    out += '&';
    query.remove_prefix(end + 1);
  }
}

}  // namespace

size_t character_length(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const size_t length = lead < 0x80   ? 1
                        : lead < 0xc2 ? 0
                        : lead < 0xe0 ? 2
                        : lead < 0xf0 ? 3
                        : lead < 0xf5 ? 4
                                      : 0;
  if (length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  // Overlong forms, surrogates and what lies beyond U+10FFFF.
  if ((lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xed && byte(1) > 0x9f) ||
      (lead == 0xf0 && byte(1) < 0x90) || (lead == 0xf4 && byte(1) > 0x8f))
    return 0;
  return length;
}

std::string whole_characters(std::string_view text, size_t max_bytes) {
  std::string out;
  while (!text.empty()) {
    const size_t length = character_length(text);
    const std::string_view piece = length == 0 ? "?" : text.substr(0, length);
    if (out.size() + piece.size() > max_bytes) break;
    out += piece;
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

std::string redact_uri(std::string_view uri) {
  const size_t scheme = uri.find("://");
  const size_t authority = scheme == std::string_view::npos ? 0 : scheme + 3;
  const size_t host = scheme == std::string_view::npos ? 0 : host_of(uri, authority);
  const size_t query = std::min(uri.find('?', host), uri.size());
  const size_t fragment = std::min(uri.find('#', host), uri.size());
  const size_t path_end = std::min(query, fragment);
  std::string out(uri.substr(0, authority));
  if (host != authority) out += std::string(kHidden) + "@";
  out += uri.substr(host, path_end - host);
  if (query < fragment) out += "?" + redact_query(uri.substr(query + 1, fragment - query - 1));
  if (fragment < uri.size()) out += std::string("#") + kHidden;
  return out;
}

}  // namespace mo
