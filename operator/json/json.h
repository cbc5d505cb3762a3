// JSON that we build, and small JSON from outside. Objects of the API server are projected by the api module
// instead. Everything here is a pure function, thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "operator/core/result.h"

namespace mo {

// Keys are sorted, so dump() is canonical: equal values have equal texts.
using Json = nlohmann::json;

// One complete JSON value of at most `max_bytes` bytes and at most `max_depth` arrays and objects inside each
// other; both are checked before anything is built. Of a key that occurs twice the last value counts. Never
// throws; errors are ErrorKind::Malformed with a sentence that says where the text goes wrong.
Result<Json> parse_json(std::string_view text, size_t max_bytes, int max_depth = 64);

// 16 hex digits. The same for the same bytes in every release and on every machine: it is stored in
// annotations and status. FNV-1a, 64 bits: short, fast and nobody's dependency. It tells changes apart and is
// no proof against forgers, who would need the right to edit the hashed object anyway.
std::string hash_of(std::string_view bytes);

// The same hash over bytes that come in pieces.
class Hasher {
 public:
  void add(std::string_view bytes);
  std::string hex() const;

 private:
  uint64_t state_ = 14695981039346656037u;
};

}  // namespace mo
