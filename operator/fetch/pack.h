// `model-operator pack`: a folder as the archive that artifact.unpack takes.
#pragma once

#include <filesystem>
#include <string>

#include "operator/core/result.h"

namespace mo {

struct PackOptions {
  std::filesystem::path folder;
  std::filesystem::path output;  // empty: the folder's name and .tar, in the current folder
};

struct Packed {
  std::string digest;  // of the archive
  uint64_t files = 0;
  uint64_t bytes = 0;    // of the archive
  uint64_t on_disk = 0;  // what artifact.size must allow once it is unpacked
};

// Writes a tar with the files and folders in the order of their names, without times, owners and modes, so that the same files
// make the same bytes on every machine. It is at `output` once it is complete. ErrorKind::Invalid for what no artifact may hold
// (links, devices, names), and for what cannot be read or written.
Result<Packed> pack(const std::filesystem::path& folder, const std::filesystem::path& output);

// The same with words: the digest on stdout, the rest on stderr. Exit codes are those of fetch.
int pack_main(const PackOptions& options);

}  // namespace mo
