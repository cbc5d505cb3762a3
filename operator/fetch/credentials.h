// What a server wants to know before it gives an artifact: a mounted Secret, read from its files.
#pragma once

#include <filesystem>
#include <string>

#include "operator/core/result.h"

namespace mo::fetch {

// The value of the header Authorization, from the files of `folder`: `token` (Bearer), else `username` and `password` (Basic). White
// space at the end of a file is no part of it. ErrorKind::Unauthorized with a sentence that says which file is missing or cannot be
// used, and never what is in it.
Result<std::string> read_authorization(const std::filesystem::path& folder);

// `folder`/ca.crt, the CAs of that server; empty if there is none.
std::filesystem::path ca_file(const std::filesystem::path& folder);

}  // namespace mo::fetch
