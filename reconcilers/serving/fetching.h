// What an artifact's fields ask of the container that fetches it. Pure.
#pragma once

#include <optional>
#include <string>

#include "operator/api/types.h"
#include "operator/json/json.h"

namespace mo::serving {

// Whether the fetching container goes out for it: http(s), s3, oci.
bool is_remote(const std::string& uri);

// Under /artifact, from the file name of the URI: a folder has no suffix of an archive, and a registry names no file.
std::string output_name(const api::Artifact& artifact, const std::string& file);

// Flags and mounts beyond those of every artifact: none for a plain one, so that pods of such look as they always did.
void add_wishes(const api::Artifact& artifact, uint64_t max_bytes, Json& args, Json& mounts);

// The ConfigMap or claim that holds the signature; nothing if it is elsewhere, or there is none.
std::optional<Json> signature_volume(const api::Artifact& artifact);

}  // namespace mo::serving
