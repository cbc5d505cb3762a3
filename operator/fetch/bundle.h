// Small sets of files as one tar.gz, held in memory. Thread-safe.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "operator/core/result.h"

namespace mo::fetch {

inline constexpr size_t kLargestFiles = 64u << 20;  // bytes of all files together
inline constexpr size_t kMostFiles = 500;

// By name, without folders but where the name says so. On failure no file is left.
using Bundle = std::map<std::string, std::string>;

// The same files make the same bytes.
Result<void> write_bundle(const std::filesystem::path& path, const Bundle& files);

// ErrorKind::Invalid if it is no whole tar.gz of plain files within the bounds above, or a name comes twice.
Result<Bundle> read_bundle(const std::filesystem::path& path);

}  // namespace mo::fetch
