// Small helpers on files and texts, for this module alone.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "operator/core/result.h"

namespace mo::kube {

// The whole file; ErrorKind::Invalid, naming it, if it cannot be read or is longer than `max_bytes`.
Result<std::string> read_file(const std::filesystem::path& file, size_t max_bytes);

// What changes whenever a file is replaced or written, also through the symbolic links of a mounted ConfigMap
// or Secret. Empty if the file cannot be looked at.
std::string file_stamp(const std::filesystem::path& file);

// Without white space at both ends.
std::string trimmed(std::string_view text);

// Standard base64, white space allowed. Nothing if it is not.
std::optional<std::string> decode_base64(std::string_view text);
std::string encode_base64(std::string_view bytes);

// Printable UTF-8, at most `max_bytes`, cut between characters: for texts that a stranger wrote.
std::string bounded_text(std::string_view text, size_t max_bytes);

// What errno means, in words.
std::string error_text(int error);

}  // namespace mo::kube
