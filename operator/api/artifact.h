// What a version is made of: its artifact, and further ones beside it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mo::api {

struct Format {
  std::string name;
  std::string version;
  bool operator==(const Format&) const = default;
};

inline constexpr uint64_t kDefaultArtifactBytes = 10ull << 30;

struct Artifact {
  std::string uri;
  std::string digest;  // sha256:<64 hex>
  Format format;       // of a part empty
  std::string size = {};    // the most bytes that it may have, such as 500Mi; empty: kDefaultArtifactBytes
  std::string secret = {};  // credentials.secretName: only the fetching container reads it, never the operator
  bool unpack = false;      // it is an archive, and MODEL_PATH the folder that it becomes
  std::string signature_uri = {}, public_key = {};  // signature: where the bundle lies, and whose it must be; empty: none is asked for
  std::string configmap() const;  // the name of the ConfigMap of a configmap://name/key; empty for others
  bool operator==(const Artifact&) const = default;
};

// "registry/repository:tag" of an oci:// artifact that is named by a tag, whose digest nobody knows yet; empty for others.
std::string tag_of(const Artifact& artifact);

// What a tag stood for when its artifact was registered.
struct Pinned {
  std::string uri;  // with the tag, as the spec says it
  std::string digest;
  // The artifact by that digest in place of the tag. Changes no other artifact than the one of `uri`.
  void apply_to(Artifact& artifact) const;
  std::string by_digest() const;  // the address of the same repository by that digest
  bool operator==(const Pinned&) const = default;
};

// A further artifact of a version: an adapter, a prompt, settings of the engine.
struct Part {
  std::string name;
  std::string path;  // where it lies below the folder of the parts; as read it is never empty
  Artifact artifact;
  bool operator==(const Part&) const = default;
};

// What names the bits of a version: the digest of its artifact. With parts it is the digest of everything that pods find on the disk:
// "sha256:…" of the JSON ["<digest>",["<name>","<path>","<digest>",<unpack>],…], parts in the order of their names.
std::string bits_of(const Artifact& artifact, const std::vector<Part>& parts);

// The ConfigMaps that the artifact and the parts lie in.
std::vector<std::string> artifact_configmaps(const Artifact& artifact, const std::vector<Part>& parts);

}  // namespace mo::api
