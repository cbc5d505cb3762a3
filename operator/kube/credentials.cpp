#include "operator/kube/credentials.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <utility>

#include "operator/kube/exec.h"
#include "operator/kube/files.h"

namespace mo::kube {
namespace {

constexpr size_t max_pem_bytes = 4u << 20;
constexpr size_t max_token_bytes = 1u << 20;

TimePoint system_now() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

// A token goes into a header line: one line break in it would smuggle in another header.
Result<std::string> checked_token(std::string token, const std::string& from) {
  if (token.empty()) return fail(ErrorKind::Unauthorized, from + " holds no token");
  const bool plain =
      std::all_of(token.begin(), token.end(), [](unsigned char c) { return c > ' ' && c < 0x7f; });
  if (!plain)
    return fail(ErrorKind::Unauthorized, from + " holds a token with white space or control characters");
  return token;
}

Result<std::string> read_pem(const PemSource& source) {
  if (!source.data.empty() || source.file.empty()) return source.data;
  return read_file(source.file, max_pem_bytes);
}

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
Bio bio_of(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free);
}

// Clock steps backwards count as time passed, so that nothing is kept for longer than meant.
bool due(const std::optional<TimePoint>& last, TimePoint now, std::chrono::milliseconds interval) {
  return !last || now < *last || now - *last >= interval;
}

}  // namespace

bool key_matches(const std::string& cert_pem, const std::string& key_pem) {
  const Bio cert_bio = bio_of(cert_pem), key_bio = bio_of(key_pem);
  const std::unique_ptr<X509, decltype(&X509_free)> cert(
      PEM_read_bio_X509(cert_bio.get(), nullptr, nullptr, nullptr), &X509_free);
  // An empty pass phrase instead of a null one: OpenSSL would ask for it on the terminal.
  char no_pass_phrase[] = "";
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, no_pass_phrase), &EVP_PKEY_free);
  const bool match = cert && key && X509_check_private_key(cert.get(), key.get()) == 1;
  ERR_clear_error();
  return match;
}

Credentials::Credentials(Config config, CredentialTimes times, Clock clock)
    : config_(std::move(config)), times_(times), clock_(clock ? std::move(clock) : Clock(system_now)) {}

Result<std::string> Credentials::authorization() {
  const std::lock_guard lock(mutex_);
  const TimePoint now = clock_();
  if (config_.exec) {
    if (auto ran = run_exec_if_due(now); !ran) return fail(ran.error());
    return exec_->token.empty() ? std::string() : "Bearer " + exec_->token;
  }
  if (!config_.token_file.empty()) {
    auto token = file_token(now);
    if (!token) return token;
    return "Bearer " + *token;
  }
  if (!config_.token.empty()) {
    auto token = checked_token(config_.token, config_.source);
    if (!token) return token;
    return "Bearer " + *token;
  }
  if (config_.username.empty()) return std::string();
  return "Basic " + encode_base64(config_.username + ":" + config_.password);
}

Result<std::string> Credentials::file_token(TimePoint now) {
  if (!due(token_read_at_, now, times_.token_lifetime)) return token_;
  auto content = read_file(config_.token_file, max_token_bytes);
  auto token = content ? checked_token(trimmed(*content), config_.token_file.string()) : content;
  if (token) {
    token_ = *token;
  } else if (token_.empty()) {
    Error error = token.error();
    error.kind = ErrorKind::Unauthorized;
    return fail(std::move(error));
  }
  token_read_at_ =
      now;  // also after a failure: the old token stays in use, and the file is not read for each request
  return token_;
}

Result<void> Credentials::run_exec_if_due(TimePoint now) {
  if (exec_ && (!exec_->expires || now < *exec_->expires)) return {};
  auto credential = run_exec_plugin(config_, times_.exec_limit);
  if (!credential) return fail(credential.error());
  if (!credential->token.empty()) {
    auto token = checked_token(credential->token, "the credential plugin " + config_.exec->command);
    if (!token) return fail(token.error());
  }
  exec_ = ExecResult{credential->token, credential->client_certificate, credential->client_key,
                     credential->expires};
  tls_checked_at_.reset();
  return {};
}

bool Credentials::refresh(const std::string& refused_authorization) {
  const std::lock_guard lock(mutex_);
  if (config_.exec) {
    if (exec_ && (exec_->token.empty() || "Bearer " + exec_->token == refused_authorization)) exec_.reset();
    return true;
  }
  if (config_.token_file.empty()) return false;
  if ("Bearer " + token_ == refused_authorization) token_read_at_.reset();
  return true;
}

std::string Credentials::stamps() const {
  std::string all;
  for (const PemSource* source : {&config_.ca, &config_.client_cert, &config_.client_key}) {
    if (source->data.empty() && !source->file.empty()) all += file_stamp(source->file);
    all += '|';
  }
  if (exec_) all += exec_->cert;
  return all;
}

Result<TlsMaterial> Credentials::read_tls() const {
  TlsMaterial material;
  auto ca = read_pem(config_.ca);
  if (!ca) return fail(ca.error());
  material.ca = std::move(*ca);
  if (!config_.ca.empty() && trimmed(material.ca).empty()) {
    // An empty CA must not turn into "trust the system's".
    return fail(ErrorKind::Invalid, "the certificate authority is empty: " + config_.ca.file.string());
  }
  if (exec_ && !exec_->cert.empty()) {
    material.cert = exec_->cert;
    material.key = exec_->key;
  } else {
    auto cert = read_pem(config_.client_cert);
    if (!cert) return fail(cert.error());
    auto key = read_pem(config_.client_key);
    if (!key) return fail(key.error());
    material.cert = std::move(*cert);
    material.key = std::move(*key);
  }
  if (!material.cert.empty() && !key_matches(material.cert, material.key)) {
    return fail(ErrorKind::Invalid,
                "the client certificate and its key are not PEM or do not belong together (" +
                    (config_.client_cert.file.empty() ? config_.source : config_.client_cert.file.string()) +
                    ")");
  }
  return material;
}

Result<std::shared_ptr<const TlsMaterial>> Credentials::tls() {
  const std::lock_guard lock(mutex_);
  const TimePoint now = clock_();
  if (config_.exec) {
    // If the plugin fails while we have something, go on with that: the request itself will say what is
    // wrong.
    if (auto ran = run_exec_if_due(now); !ran && !tls_) return fail(ran.error());
  }
  if (tls_ && !due(tls_checked_at_, now, times_.file_check)) return tls_;
  const std::string seen = stamps();  // before reading: a change in between is seen next time
  if (tls_ && seen == tls_stamps_) {
    tls_checked_at_ = now;
    return tls_;
  }
  auto material = read_tls();
  if (!material && !tls_) return fail(material.error());
  if (material) {
    // The stamps are kept only now: half of a rotation is looked at again until both halves are there.
    tls_stamps_ = seen;
    if (!tls_ || *tls_ != *material) tls_ = std::make_shared<const TlsMaterial>(std::move(*material));
  }
  tls_checked_at_ = now;
  return tls_;
}

}  // namespace mo::kube
