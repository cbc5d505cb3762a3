// Files that people write in YAML: kubeconfigs and --runtimes-file. Also base64, which the former hold.
#include "operator/kube/config.h"

#include <sys/mman.h>
#include <unistd.h>

#include "operator/kube/files.h"
#include "operator/runtime/runtimes_file.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace mo;

// A file in memory that is read by its name.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view content) : fd_(memfd_create("kubeconfig", MFD_CLOEXEC)) {
    MUST(fd_ >= 0 && write(fd_, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
  }
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string name() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  const int fd_;
};

void check_kubeconfig(std::string_view text) {
  const MemoryFile file(text);
  kube::ConfigPlaces places;
  places.kubeconfig = file.name();
  const auto config = kube::load_config(places);
  if (!config) {
    MUST(config.error().kind == ErrorKind::Invalid && !config.error().message.empty());
    return;
  }
  MUST_SHOW(config->server.starts_with("https://") || config->server.starts_with("http://"), config->server);
  MUST_SHOW(!config->server.ends_with('/'), config->server);
  MUST(!config->ns.empty());
  MUST(config->client_cert.empty() == config->client_key.empty());
  MUST(!config->insecure_skip_tls_verify || config->ca.empty());
  MUST(config->token_file.empty() || config->token_file.is_absolute());
  MUST(!config->exec || !config->exec->command.empty());
}

void check_runtimes(const std::string& text) {
  const auto documents = yaml_to_json(text);
  if (documents)
    for (const std::string& document : *documents)
      MUST_SHOW(!fuzz::json_of(document).is_discarded(), document);
  const auto runtimes = read_runtimes(text);
  if (!runtimes) return;
  MUST(documents && documents->size() == runtimes->size());
  for (const auto& runtime : *runtimes) MUST(!runtime.meta.key.name.empty());
}

void check_base64(std::string_view text) {
  MUST(kube::decode_base64(kube::encode_base64(text)) == text);
  const auto decoded = kube::decode_base64(text);
  if (decoded) MUST(kube::decode_base64(kube::encode_base64(*decoded)) == decoded);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(fuzz::view(data, size));
  check_kubeconfig(text);
  check_runtimes(text);
  check_base64(text);
  return 0;
}
