// What registries and signers write: manifests and signatures.
#include "operator/fetch/folder.h"
#include "operator/fetch/oci_manifest.h"
#include "operator/fetch/sha256.h"
#include "operator/fetch/signature.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace mo;

constexpr uint64_t kMostBytes = 1000;
// Its private half was thrown away.
constexpr const char* kKey =
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENpZm+3IwR6KqANkssHrNitOYCmrw\n"
    "vu37xVnzuaefekB7x5E9qHbsP15zon0LvCOFdJdqLZ+TbR0/4iwZnF4oLA==\n-----END PUBLIC KEY-----\n";

void check_manifest(std::string_view text) {
  const auto manifest = fetch::read_manifest(text, "amd64", kMostBytes);
  if (!manifest) {
    MUST_SHOW(fuzz::is_utf8(manifest.error().message), manifest.error().message);
    return;
  }
  MUST(manifest->image.empty() != manifest->layers.empty());
  uint64_t bytes = 0;
  for (const fetch::Layer& layer : manifest->layers) {
    MUST_SHOW(fetch::path_problem(layer.path).empty(), layer.path);
    MUST(fetch::is_digest(layer.digest));
    bytes += layer.size;
  }
  MUST(bytes <= kMostBytes && manifest->layers.size() <= fetch::kMostLayers);
}

// Of all bundles that can be made from the seed, that key signed one statement alone.
void check_signature(std::string_view text) {
  const auto statement = fetch::verify_bundle(text, kKey);
  if (!statement) {
    MUST_SHOW(fuzz::is_utf8(statement.error().message), statement.error().message);
    return;
  }
  MUST(statement->files.size() == 2 && statement->files.count("MLmodel") && statement->ignored.size() == 4);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  check_manifest(fuzz::view(data, size));
  check_signature(fuzz::view(data, size));
  return 0;
}
