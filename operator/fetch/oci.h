// Artifacts and images of OCI registries, brought into a folder.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>

#include "operator/core/result.h"
#include "operator/fetch/download.h"
#include "operator/fetch/folder.h"

namespace mo::fetch {

// Fills `folder` from oci://registry/repository@sha256:… by the registry API v2, always over https. The manifest and each layer
// have the digest that names them, or nothing is kept: ErrorKind::Conflict. Credentials are the files of `credentials` (a
// mounted Secret, may be empty): .dockerconfigjson, username and password, or token; they go to the registry, and to the token
// service that it names. The other errors are download()'s.
Result<void> pull(kube::PlainTransport& http, const std::string& uri, const std::filesystem::path& credentials,
                  uint64_t max_bytes, Folder& folder, const Deadline& deadline, Duration first_retry, std::ostream& log);

}  // namespace mo::fetch
