// What a manifest in a registry says an artifact is made of. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "operator/core/result.h"

namespace mo::fetch {

inline constexpr size_t kLargestManifest = 4u << 20;  // as registries have it
inline constexpr size_t kMostLayers = 1000;

struct Layer {
  std::string digest;
  uint64_t size = 0;
  std::string path;  // of a file; empty: an archive to unpack
};

struct Manifest {
  std::string image;          // of an index: the digest of the manifest to take; then there are no layers
  std::vector<Layer> layers;  // in order, later ones on top
};

// An OCI or Docker image manifest, or an index with a manifest for linux on `architecture` (as Go names it), or with a single
// one. A layer with the annotation org.opencontainers.image.title (as oras writes it) or org.cncf.model.filepath is a file of
// that name; one whose media type is a tar, as images have it, or whose annotation io.deis.oras.content.unpack says so, is
// unpacked. ErrorKind::Malformed with what is wrong.
Result<Manifest> read_manifest(std::string_view text, std::string_view architecture, uint64_t max_bytes);

}  // namespace mo::fetch
