// What a server wants to know before it gives an artifact: a mounted Secret, read from its files.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "operator/core/result.h"

namespace mo::fetch {

// One key of the Secret, without white space at its end; nothing if there is none. At most 64 KiB of it.
std::optional<std::string> read_key(const std::filesystem::path& folder, const char* key);

// Not empty, and without control characters: anything else could end a header and begin another.
bool is_plain(const std::string& text);

std::string base64(const std::string& text);

// The value of the header Authorization, from the files of `folder`: `token` (Bearer), else `username` and `password` (Basic). White
// space at the end of a file is no part of it. ErrorKind::Unauthorized with a sentence that says which file is missing or cannot be
// used, and never what is in it.
Result<std::string> read_authorization(const std::filesystem::path& folder);

// The same for an OCI registry, which also takes the file `.dockerconfigjson` of a Secret for pulling images: its entry for `registry`.
Result<std::string> read_registry_account(const std::filesystem::path& folder, const std::string& registry);

// `folder`/ca.crt, the CAs of that server; empty if there is none.
std::filesystem::path ca_file(const std::filesystem::path& folder);

}  // namespace mo::fetch
