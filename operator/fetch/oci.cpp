#include "operator/fetch/oci.h"

#include <sys/utsname.h>

#include <ostream>

#include "operator/core/text.h"
#include "operator/fetch/credentials.h"
#include "operator/fetch/oci_manifest.h"
#include "operator/fetch/sha256.h"
#include "operator/fetch/unpack.h"
#include "operator/json/json.h"
#include "operator/kube/challenge.h"
#include "operator/kube/registry.h"

namespace mo::fetch {
namespace {

std::string architecture() {
  utsname name{};
  ::uname(&name);
  const std::string machine = name.machine;
  return machine == "x86_64" ? "amd64" : machine == "aarch64" ? "arm64" : machine;
}

struct Reference {
  std::string registry, repository, digest;
  std::string base() const { return kube::repository_url(registry, repository); }
};
Reference split(const std::string& uri) {
  const size_t start = std::string_view("oci://").size(), slash = uri.find('/', start), at = uri.find('@', slash);
  return {uri.substr(start, slash - start), uri.substr(slash + 1, at - slash - 1), uri.substr(at + 1)};
}

class Registry {
 public:
  Registry(kube::PlainTransport& http, Reference reference, std::string account, const Deadline& deadline, Duration first_retry,
           std::ostream& log)
      : http_(http),
        of_(std::move(reference)),
        account_(std::move(account)),
        deadline_(deadline),
        first_retry_(first_retry),
        log_(log) {}

  Result<std::string> manifest(const std::string& digest) {
    kube::HttpRequest request;
    request.target = of_.base() + "/manifests/" + digest;
    request.headers = {{"Accept", kube::kManifestTypes}};
    auto answer = authorized(std::move(request));
    if (!answer) return fail(answer.error());
    if (answer->status / 100 != 2) return fail(refusal(*answer));
    Sha256 hash;
    hash.add(answer->body);
    if (const std::string got = hash.finish(); got != digest)
      return fail(ErrorKind::Conflict, "the registry sent a manifest with digest " + got + ", expected " + digest);
    return std::move(answer->body);
  }

  Result<void> blob(const Layer& layer, const Bytes& bytes) {
    Download what;
    what.request.target = of_.base() + "/blobs/" + layer.digest;
    what.shown = of_.registry + "/" + of_.repository + "@" + layer.digest;
    what.max_bytes = layer.size;
    what.dress = [this](kube::HttpRequest& request) { dress(request); };
    // A token lives for minutes only.
    bool renewed = false;
    what.refused = [&](const kube::HttpResponse& answer) {
      if (answer.status != 401 || std::exchange(renewed, true)) return refusal(answer);
      const auto logged_in = log_in(answer);
      return logged_in ? Error{ErrorKind::ServerError, "the token is renewed", 401, {}, {}} : logged_in.error();
    };
    const Bytes kept{bytes.start, [&](std::string_view piece) {
                       renewed = false;
                       return bytes.write(piece);
                     }};
    return download(http_, what, kept, deadline_, first_retry_, log_);
  }

 private:
  void dress(kube::HttpRequest& request) const {
    if (!authorization_.empty()) request.headers.emplace_back("Authorization", authorization_);
  }

  Result<kube::HttpResponse> authorized(kube::HttpRequest request) {
    kube::HttpRequest dressed = request;
    dress(dressed);
    auto answer = asked(dressed, kLargestManifest);
    if (!answer || answer->status != 401) return answer;
    if (const auto logged_in = log_in(*answer); !logged_in) return fail(logged_in.error());
    dress(request);
    return asked(request, kLargestManifest);
  }

  Result<kube::HttpResponse> asked(const kube::HttpRequest& request, size_t max_bytes) {
    return ask(http_, request, redact_uri(request.target), max_bytes, deadline_, first_retry_, log_);
  }

  Result<void> log_in(const kube::HttpResponse& answer) {
    const std::string* challenge = answer.header("www-authenticate");
    if (!challenge) return fail(refusal(answer));
    // Where a registry sends us for bytes must not say where the account goes.
    if (answer.redirected) return fail(ErrorKind::Unauthorized, "the host that the registry redirects to requires other credentials");
    if (challenge->starts_with("Basic") || challenge->starts_with("basic")) {
      if (account_.empty() || authorization_ == account_) return fail(refusal(answer));
      authorization_ = account_;
      return {};
    }
    if (account_.starts_with("Bearer ")) return fail(refusal(answer));
    kube::HttpRequest request;
    request.target = kube::token_url(kube::challenge_parameters(*challenge), of_.repository);
    if (request.target.empty()) return fail(ErrorKind::Unauthorized, "the registry names no token service with an https address");
    if (!account_.empty()) request.headers = {{"Authorization", account_}};
    auto token = asked(request, kube::kLongestToken);
    if (!token) return fail(token.error());
    if (token->status / 100 != 2) return fail(refusal(*token));
    const Result<Json> body = parse_json(token->body, kube::kLongestToken);
    for (const char* name : {"token", "access_token"}) {
      if (!body || !body->is_object() || !body->contains(name) || !(*body)[name].is_string()) continue;
      const std::string text = (*body)[name].get<std::string>();
      if (!is_plain(text) || text.find(' ') != std::string::npos) break;
      authorization_ = "Bearer " + text;
      return {};
    }
    return fail(ErrorKind::Unauthorized, "the registry's token service sent no token");
  }

  Error refusal(const kube::HttpResponse& answer) const {
    const std::string http = " (HTTP " + std::to_string(answer.status) + ")";
    if (answer.status == 401 || answer.status == 403)
      return {ErrorKind::Unauthorized,
              account_.empty() ? "the registry requires credentials" + http + "; name a Secret in artifact.credentials"
                               : "the registry does not let this account pull " + of_.repository + http +
                                     "; check the Secret of artifact.credentials",
              answer.status,
              {},
              {}};
    if (answer.status == 404)
      return {ErrorKind::NotFound,
              "the registry has no " + of_.repository + "@" + of_.digest + http + "; check artifact.uri",
              404,
              {},
              {}};
    return {ErrorKind::NotFound, "the registry answered HTTP " + std::to_string(answer.status), answer.status, {}, {}};
  }

  kube::PlainTransport& http_;
  const Reference of_;
  const std::string account_;  // a header's value; empty: there is none
  const Deadline& deadline_;
  const Duration first_retry_;
  std::ostream& log_;
  std::string authorization_;
};

// Hashes what it hands on. It cannot begin anew once bytes came: what is unpacked already cannot be undone alone.
class LayerBytes {
 public:
  explicit LayerBytes(std::function<Result<void>(std::string_view)> write) : write_(std::move(write)) {}
  Bytes bytes() {
    return {[this]() -> Result<void> {
              if (any_) return fail(ErrorKind::Gone, "the registry cannot send the rest of a layer");
              return {};
            },
            [this](std::string_view piece) {
              any_ = true;
              hash_.add(piece);
              return write_(piece);
            }};
  }
  Result<void> check(const Layer& layer) {
    const std::string got = hash_.finish();
    if (got == layer.digest) return {};
    return fail(ErrorKind::Conflict, "the registry sent a layer with digest " + got + ", expected " + layer.digest);
  }

 private:
  const std::function<Result<void>(std::string_view)> write_;
  Sha256 hash_;
  bool any_ = false;
};

Result<void> bring_archive(Registry& registry, const Layer& layer, Folder& folder) {
  Unpacker unpacker(folder);
  unpacker.start();
  LayerBytes bytes([&](std::string_view piece) { return unpacker.write(piece); });
  if (auto got = registry.blob(layer, bytes.bytes()); !got) return got;
  if (auto right = bytes.check(layer); !right) return right;
  return unpacker.finish();
}

Result<void> bring_file(Registry& registry, const Layer& layer, Folder& folder) {
  if (auto opened = folder.open_file(layer.path); !opened) return opened;
  LayerBytes bytes([&](std::string_view piece) { return folder.write(piece); });
  if (auto got = registry.blob(layer, bytes.bytes()); !got) return got;
  if (auto closed = folder.close_file(); !closed) return closed;
  return bytes.check(layer);
}

Result<void> bring_all(Registry& registry, const std::string& digest, uint64_t max_bytes, Folder& folder) {
  if (auto started = folder.start(); !started) return started;
  folder.layered();
  auto text = registry.manifest(digest);
  auto manifest = text ? read_manifest(*text, architecture(), max_bytes) : Result<Manifest>(fail(text.error()));
  if (manifest && !manifest->image.empty()) {
    text = registry.manifest(manifest->image);
    manifest = text ? read_manifest(*text, architecture(), max_bytes) : Result<Manifest>(fail(text.error()));
    if (manifest && !manifest->image.empty()) return fail(ErrorKind::Malformed, "its index lists another index");
  }
  if (!manifest) return fail(manifest.error());
  for (const Layer& layer : manifest->layers) {
    auto brought = layer.path.empty() ? bring_archive(registry, layer, folder) : bring_file(registry, layer, folder);
    if (!brought) return brought;
  }
  return folder.file_count() == 0 ? fail(ErrorKind::Malformed, "it holds no files") : Result<void>{};
}

}  // namespace

Result<void> pull(kube::PlainTransport& http, const std::string& uri, const std::filesystem::path& credentials,
                  uint64_t max_bytes, Folder& folder, const Deadline& deadline, Duration first_retry, std::ostream& log) {
  const Reference reference = split(uri);
  auto account = credentials.empty() ? Result<std::string>("") : read_registry_account(credentials, reference.registry);
  if (!account) return fail(account.error());
  Registry registry(http, reference, std::move(*account), deadline, first_retry, log);
  for (;;) {
    auto done = bring_all(registry, reference.digest, max_bytes, folder);
    if (done || done.error().kind != ErrorKind::Gone) return done;
    log << redact_uri(uri) << ": " << done.error().message << "; starting over" << std::endl;
    if (!deadline.sleep(first_retry)) return fail(ErrorKind::Transport, done.error().message);
  }
}

}  // namespace mo::fetch
