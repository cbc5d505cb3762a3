#include "operator/fetch/oci_manifest.h"

#include "operator/core/text.h"
#include "operator/fetch/folder.h"
#include "operator/fetch/receiver.h"
#include "operator/fetch/sha256.h"
#include "operator/json/json.h"

namespace mo::fetch {
namespace {

tl::unexpected<Error> bad_manifest(const std::string& why) { return fail(ErrorKind::Malformed, "its manifest " + why); }

const Json& field(const Json& object, const char* name) {
  static const Json none;
  const auto it = object.is_object() ? object.find(name) : object.end();
  return it == object.end() ? none : *it;
}
std::string text_field(const Json& object, const char* name) {
  const Json& value = field(object, name);
  return value.is_string() ? value.get<std::string>() : "";
}

bool is_tar(std::string_view type) {
  for (const char* end : {".tar", ".tar+gzip", ".tar.gzip", ".tar+zstd", ".tar.zstd"})
    if (type.ends_with(end)) return true;
  return false;
}

Result<Manifest> read_index(const Json& manifests, std::string_view architecture) {
  std::vector<std::string> fitting, all;
  for (const Json& one : manifests) {
    const std::string digest = text_field(one, "digest");
    if (!is_digest(digest)) return bad_manifest("contains an invalid digest");
    const Json& platform = field(one, "platform");
    all.push_back(digest);
    if (text_field(platform, "os") == "linux" && text_field(platform, "architecture") == architecture)
      fitting.push_back(digest);
  }
  if (!fitting.empty()) return Manifest{fitting.front(), {}};
  if (all.size() == 1) return Manifest{all.front(), {}};
  return bad_manifest("lists " + std::to_string(all.size()) + " images and none of them is for linux/" +
                      std::string(architecture) + "; name the digest of one of them in artifact.uri");
}

Result<Layer> read_layer(const Json& one, size_t number) {
  const std::string which = "layer " + std::to_string(number), type = text_field(one, "mediaType");
  Layer layer;
  layer.digest = text_field(one, "digest");
  const Json& size = field(one, "size");
  if (!is_digest(layer.digest) || !size.is_number_unsigned())
    return bad_manifest("has a " + which + " without digest (sha256) or size");
  layer.size = size.get<uint64_t>();
  const Json& notes = field(one, "annotations");
  std::string name = text_field(notes, "org.opencontainers.image.title");
  if (name.empty()) name = text_field(notes, "org.cncf.model.filepath");
  const bool archive = name.empty() || text_field(notes, "io.deis.oras.content.unpack") == "true" ||
                       (is_tar(type) && type.find("cncf.model") != std::string::npos);
  if (archive && !is_tar(type))
    return bad_manifest("has a " + which + " of type \"" + whole_characters(type, 100) +
                        "\", which is not a tar, without annotation org.opencontainers.image.title for a file name");
  if (!archive) layer.path = name;
  if (const std::string problem = path_problem(layer.path); !problem.empty())
    return bad_manifest("has a " + which + ": " + problem);
  return layer;
}

}  // namespace

Result<Manifest> read_manifest(std::string_view document, std::string_view architecture, uint64_t max_bytes) {
  const Result<Json> parsed = parse_json(document, kLargestManifest, 16);
  if (!parsed || !parsed->is_object()) return bad_manifest("is no JSON object");
  if (const Json& manifests = field(*parsed, "manifests"); manifests.is_array()) return read_index(manifests, architecture);
  const Json& layers = field(*parsed, "layers");
  if (!layers.is_array() || layers.empty()) return bad_manifest("has no layers");
  if (layers.size() > kMostLayers) return bad_manifest("has more than " + std::to_string(kMostLayers) + " layers");
  Manifest out;
  uint64_t left = max_bytes;
  for (const Json& one : layers) {
    if (text_field(one, "mediaType") == "application/vnd.oci.empty.v1+json") continue;
    auto layer = read_layer(one, out.layers.size() + 1);
    if (!layer) return fail(layer.error());
    if (layer->size > left) return too_large(max_bytes);
    left -= layer->size;
    out.layers.push_back(std::move(*layer));
  }
  return out.layers.empty() ? Result<Manifest>(bad_manifest("has no layers with content")) : out;
}

}  // namespace mo::fetch
