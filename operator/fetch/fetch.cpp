#include "operator/fetch/fetch.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>

#include "operator/core/text.h"
#include "operator/fetch/credentials.h"
#include "operator/fetch/download.h"
#include "operator/fetch/folder.h"
#include "operator/fetch/oci.h"
#include "operator/fetch/s3.h"
#include "operator/fetch/sha256.h"
#include "operator/fetch/signature.h"
#include "operator/fetch/source.h"
#include "operator/fetch/target.h"

namespace mo {
namespace {

using fetch::Bytes;
using fetch::Deadline;
using fetch::Download;
using fetch::Receiver;
using fetch::Source;

struct FetchResult {
  int code = kFetchOk;
  std::string sentence;
};

Error answered(const kube::HttpResponse& answer, bool with_credentials) {
  std::string text = "the server answered HTTP " + std::to_string(answer.status);
  if (answer.status == 401 || answer.status == 403)
    text += with_credentials ? "; check the Secret of artifact.credentials" : "; name a Secret in artifact.credentials";
  return {ErrorKind::NotFound, text, answer.status, {}, {}};
}

// What is to be brought: the artifact, or its signature.
struct Wanted {
  std::string uri;
  std::filesystem::path source_dir, credentials_dir;
  uint64_t max_bytes = 0;
};

// Scheme, host and port.
std::string origin_of(const std::string& uri) {
  const size_t scheme = uri.find("://");
  return scheme == std::string::npos ? "" : uri.substr(0, uri.find_first_of("/?#", scheme + 3));
}

Result<Download> http_download(const Wanted& wanted) {
  Download out;
  out.request.target = wanted.uri;
  out.shown = redact_uri(wanted.uri);
  out.max_bytes = wanted.max_bytes;
  out.refused = [with = !wanted.credentials_dir.empty()](const auto& answer) { return answered(answer, with); };
  if (wanted.credentials_dir.empty()) return out;
  if (!wanted.uri.starts_with("https://"))
    return fail(ErrorKind::Invalid, "credentials are sent only to https:// addresses, but --uri is " + redact_uri(wanted.uri));
  const auto authorization = fetch::read_authorization(wanted.credentials_dir);
  if (!authorization) return fail(authorization.error());
  out.request.headers.emplace_back("Authorization", *authorization);
  return out;
}

FetchResult failure(const FetchOptions& options, const std::string& of, const Error& error, bool asked_to_stop, bool late) {
  const std::string uri = redact_uri(of), sentence = uri + ": " + error.message;
  if (asked_to_stop) return {kFetchStopped, uri + ": stopped before it was complete"};
  switch (error.kind) {
    case ErrorKind::Invalid:
      return {kFetchUsage, error.http_status == 0 ? error.message : sentence};
    case ErrorKind::Conflict:
      return {kFetchMismatch, "digest mismatch: " + sentence};
    case ErrorKind::Forbidden:
      return {kFetchOutput, sentence};  // a Receiver's word for a volume that cannot be written
    case ErrorKind::Unauthorized:
      return {kFetchCredentials, sentence};
    case ErrorKind::Cancelled:
      return {kFetchNetwork, uri + ": not complete within " + format_duration(options.timeout)};
    case ErrorKind::Transport:
    case ErrorKind::ServerError:
      return {kFetchNetwork, sentence + (late ? "; given up after " + format_duration(options.timeout) : "")};
    default:
      return {kFetchNoSource, sentence};
  }
}

class Fetch {
 public:
  Fetch(const FetchOptions& options, kube::PlainTransport& http, std::ostream& log, std::stop_token stop)
      : options_(options), http_(http), log_(log), stop_(stop), deadline_(options.timeout, stop) {}

  FetchResult run() {
    const auto source = fetch::parse_source(options_.uri);
    if (!source) return {kFetchUsage, source.error().message};
    if (!fetch::is_digest(options_.digest))
      return {kFetchUsage, "--digest must be sha256: and 64 hexadecimal digits in lower case, but is " + options_.digest};
    if (options_.output.filename().empty())
      return {kFetchUsage, "--output must name a file, but is " + options_.output.string()};
    if (!options_.signature_uri.empty())
      if (auto wrong = read_signature()) return *wrong;
    if (options_.mounted) return verify_mounted();
    std::error_code error;
    const std::filesystem::path folder = options_.output.parent_path();
    if (!folder.empty()) std::filesystem::create_directories(folder, error);
    if (error) return {kFetchOutput, "cannot create " + folder.string() + ": " + error.message()};
    return source->kind == Source::Kind::Oci ? pull() : receive(*source);
  }

 private:
  // The signature comes first: it is small, and without it nothing else is worth fetching.
  std::optional<FetchResult> read_signature() {
    const auto source = fetch::parse_source(options_.signature_uri);
    if (!source || source->kind == Source::Kind::Oci)
      return FetchResult{kFetchUsage,
                     "--signature-uri must be configmap://name/key, pvc://claim/path, http(s)://… or s3://bucket/key, it is " +
                         redact_uri(options_.signature_uri)};
    Wanted wanted{options_.signature_uri, options_.signature_dir, options_.credentials_dir, fetch::kLargestBundle};
    if (origin_of(wanted.uri) != origin_of(options_.uri) && source->kind == Source::Kind::Http) wanted.credentials_dir.clear();
    std::string bundle;
    const Bytes bytes{[&] {
                        bundle.clear();
                        return Result<void>{};
                      },
                      [&](std::string_view piece) -> Result<void> {
                        if (piece.size() > fetch::kLargestBundle - bundle.size())
                          return fetch::too_large(fetch::kLargestBundle);
                        bundle += piece;
                        return {};
                      }};
    if (auto brought = bring(*source, wanted, bytes); !brought) {
      FetchResult wrong = failure(options_, options_.signature_uri, brought.error(), stop_.stop_requested(), deadline_.passed());
      wrong.sentence = "signature " + wrong.sentence;
      return wrong;
    }
    auto statement = fetch::verify_bundle(bundle, options_.public_key);
    if (!statement) return bad_signature(statement.error());
    statement_ = std::move(*statement);
    return std::nullopt;
  }

  FetchResult bad_signature(const Error& error) const {
    return {kFetchSignature, "bad signature: " + redact_uri(options_.uri) + ": " + error.message};
  }

  std::optional<FetchResult> check_signature(const Result<fetch::Files>& files) const {
    if (!files) return failed(files.error());
    if (auto same = fetch::compare(*statement_, *files); !same) return bad_signature(same.error());
    return std::nullopt;
  }

  // Container runtimes take an artifact that is no image, and mount an empty folder.
  FetchResult verify_mounted() {
    const Result<bool> empty = fetch::is_without_files(options_.output);
    if (!empty) return failed(empty.error());
    if (*empty)
      return {kFetchNoSource, redact_uri(options_.uri) + ": the mounted volume holds no file: it is not an image, but an artifact with other layers; push it as an image, or set spec.serving.ociArtifacts: Fetch"};
    if (!statement_) return {kFetchOk, "mounted " + redact_uri(options_.uri)};
    const Result<fetch::Files> files = fetch::files_below(options_.output, deadline_.token());
    if (auto wrong = check_signature(files)) return *wrong;
    return {kFetchOk, "mounted " + redact_uri(options_.uri) + ", " + std::to_string(files->size()) + " files" + signed_note()};
  }

  std::string signed_note() const { return statement_ ? ", signed" : ""; }

  FetchResult pull() {
    if (!options_.uri.ends_with("@" + options_.digest))
      return {kFetchUsage, "--digest must be the digest in --uri, but is " + options_.digest};
    fetch::Folder folder(options_.output, options_.max_bytes);
    auto done = fetch::pull(http_, options_.uri, options_.credentials_dir, options_.max_bytes, folder, deadline_,
                            options_.first_retry, log_);
    if (!done) return failed(done.error());
    if (statement_)
      if (auto wrong = check_signature(folder.files())) return *wrong;
    if (done = folder.keep(); !done) return failed(done.error());
    return {kFetchOk,
            "fetched " + redact_uri(options_.uri) + ", " + std::to_string(folder.file_count()) + " files" + signed_note()};
  }

  FetchResult receive(const Source& source) {
    const std::unique_ptr<Receiver> receiver =
        options_.unpack
            ? std::unique_ptr<Receiver>(std::make_unique<fetch::FolderReceiver>(options_.output, options_.max_bytes))
            : std::make_unique<fetch::Target>(options_.output, options_.max_bytes);
    const Bytes bytes{[&] { return receiver->start(); }, [&](std::string_view piece) { return receiver->write(piece); }};
    const Wanted wanted{options_.uri, options_.source_dir, options_.credentials_dir, options_.max_bytes};
    if (auto brought = bring(source, wanted, bytes); !brought) return failed(brought.error());
    // Of something else than what was asked for it is of no interest whether it is an archive.
    if (const std::string digest = receiver->digest(); digest != options_.digest)
      return {kFetchMismatch,
              "digest mismatch: " + redact_uri(options_.uri) + " has " + digest + ", expected " + options_.digest};
    if (auto whole = receiver->end(); !whole) return failed(whole.error());
    if (statement_)
      if (auto wrong = check_signature(receiver->files())) return *wrong;
    if (auto kept = receiver->keep(); !kept) return failed(kept.error());
    return {kFetchOk, "fetched " + redact_uri(options_.uri) + ", " + std::to_string(receiver->size()) + " bytes, " +
                          options_.digest + signed_note()};
  }

  Result<void> bring(const Source& source, const Wanted& wanted, const Bytes& bytes) {
    if (source.kind == Source::Kind::File) {
      if (auto started = bytes.start(); !started) return started;
      return fetch::read_below(wanted.source_dir, source.path, bytes.write, deadline_.token());
    }
    const auto what = source.kind == Source::Kind::S3 ? fetch::s3_download(wanted.uri, wanted.credentials_dir, wanted.max_bytes)
                                                      : http_download(wanted);
    if (!what) return fail(what.error());
    return fetch::download(http_, *what, bytes, deadline_, options_.first_retry, log_);
  }

  FetchResult failed(const Error& error) const {
    return failure(options_, options_.uri, error, stop_.stop_requested(), deadline_.passed());
  }

  const FetchOptions& options_;
  kube::PlainTransport& http_;
  std::ostream& log_;
  const std::stop_token stop_;
  const Deadline deadline_;
  std::optional<fetch::Statement> statement_;
};

// The kubelet made the file; where there is none there is no kubelet.
void write_termination_log(const std::filesystem::path& path, const std::string& sentence) {
  const int file = ::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (file < 0) return;
  // Nothing can be done about a failure: the same sentence is on stderr.
  [[maybe_unused]] const ssize_t written = ::write(file, sentence.data(), std::min<size_t>(sentence.size(), 4096));
  ::close(file);
}

}  // namespace

int fetch_artifact(const FetchOptions& options, kube::PlainTransport& http, std::ostream& log, std::stop_token stop) {
  FetchResult outcome;
  try {
    outcome = Fetch(options, http, log, stop).run();
  } catch (const std::exception& e) {
    outcome = {kFetchOutput, redact_uri(options.uri) + ": " + e.what()};
  }
  log << outcome.sentence << std::endl;
  write_termination_log(options.termination_log, outcome.sentence);
  return outcome.code;
}

int fetch_main(const FetchOptions& options, std::stop_token stop) {
  kube::PlainOptions http;
  // An S3 store that redirects wants another region, and a signature for that.
  // Signed requests go to the store alone: a redirect would take the session token along.
  http.max_redirects = options.uri.starts_with("s3://") || options.signature_uri.starts_with("s3://") ? 0 : 5;
  http.proxy_from_env = true;
  if (!options.credentials_dir.empty()) http.ca_file = fetch::ca_file(options.credentials_dir).string();
  const auto transport = kube::make_plain_curl_transport(http);
  return fetch_artifact(options, *transport, std::cerr, stop);
}

}  // namespace mo
