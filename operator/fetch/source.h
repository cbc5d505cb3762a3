// Where an artifact comes from.
#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

#include "operator/core/result.h"

namespace mo::fetch {

struct Source {
  enum class Kind { File, Http, S3, Oci } kind = Kind::File;
  std::string path;  // File: below the mounted folder
};

// configmap://name/key and pvc://claim/path are files below the folder that the pod mounts; http(s)://, s3://bucket/key and
// oci://registry/repository@sha256:… are themselves. ErrorKind::Invalid for everything else, and for a path that leaves the folder by its own words.
Result<Source> parse_source(std::string_view uri);

// Gets the bytes piece by piece; its error ends the reading and is the reading's.
using Sink = std::function<Result<void>(std::string_view bytes)>;

// Reads a regular file below `folder`. Symbolic links are followed as long as they stay below it (a mounted
// ConfigMap is made of them). ErrorKind::NotFound with a sentence for what is absent, not regular, unreadable
// or elsewhere.
Result<void> read_below(const std::filesystem::path& folder, const std::string& path, const Sink& sink,
                        std::stop_token stop);

}  // namespace mo::fetch
