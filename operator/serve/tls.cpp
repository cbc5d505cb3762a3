#include "operator/serve/tls.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/context.hpp>
#include <fstream>
#include <stdexcept>

namespace mo::serve {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

constexpr size_t kLargestFile = 256 << 10;
constexpr std::chrono::seconds kBetweenLooks{1};
constexpr size_t kNames = 64;  // of one certificate
constexpr long kTenYears = 3650L * 24 * 3600;
constexpr long kSlowClocks = 3600;  // of those who connect

struct Free {
  void operator()(BIO* b) const { BIO_free(b); }
  void operator()(EVP_PKEY* k) const { EVP_PKEY_free(k); }
  void operator()(X509* x) const { X509_free(x); }
  void operator()(X509_EXTENSION* e) const { X509_EXTENSION_free(e); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

void must(bool done) {
  if (!done) throw std::runtime_error("OpenSSL cannot make a certificate");
}

void add_extension(X509* certificate, int id, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const Owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, id, value));
  must(extension && X509_add_ext(certificate, extension.get(), -1));
}

// Random, positive and of one length.
void number(X509* certificate) {
  unsigned char bytes[16];
  must(RAND_bytes(bytes, sizeof bytes) == 1);
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> serial(BN_bin2bn(bytes, sizeof bytes, nullptr), BN_free);
  must(serial && BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)));
}

std::string text_of(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  return {bytes, static_cast<size_t>(size)};
}

Result<std::string> read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string content(kLargestFile + 1, '\0');
  in.read(content.data(), static_cast<std::streamsize>(content.size()));
  if (!in.is_open() || in.bad()) return fail(ErrorKind::Invalid, "cannot read " + file.string());
  content.resize(static_cast<size_t>(in.gcount()));
  if (content.size() > kLargestFile) return fail(ErrorKind::Invalid, file.string() + " is longer than 256 KiB");
  return content;
}

// Callers are asked for a certificate of these authorities; false if they are none.
bool ask_for_certificates(ssl::context& context, const std::string& authorities) {
  SSL_CTX* const native = context.native_handle();
  const Owned<BIO> text(BIO_new_mem_buf(authorities.data(), static_cast<int>(authorities.size())));
  int count = 0;
  while (const Owned<X509> authority{text ? PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr) : nullptr}) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(native), authority.get()) != 1 || SSL_CTX_add_client_CA(native, authority.get()) != 1) return false;
    ++count;
  }
  const bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;  // and not in the middle of one
  ERR_clear_error();
  if (count == 0 || !ended) return false;
  // The authority that is named is trusted, be it a root or an intermediate one: nobody has to let in all that a root signs.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(native), X509_V_FLAG_PARTIAL_CHAIN);
  error_code error;
  context.set_verify_mode(ssl::verify_peer, error);
  return !error;
}

}  // namespace

Certificate self_signed(TimePoint now) {
  const Owned<EVP_PKEY> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  const Owned<X509> certificate(X509_new());
  must(key && certificate);
  X509* const x = certificate.get();
  const time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  must(X509_set_version(x, 2) && ASN1_TIME_set(X509_getm_notBefore(x), seconds - kSlowClocks) &&
       ASN1_TIME_set(X509_getm_notAfter(x), seconds + kTenYears) && X509_set_pubkey(x, key.get()));
  number(x);
  X509_NAME* const subject = X509_get_subject_name(x);
  must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("model-operator"), -1, -1, 0) &&
       X509_set_issuer_name(x, subject));
  add_extension(x, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(x, NID_key_usage, "critical,digitalSignature");
  add_extension(x, NID_ext_key_usage, "serverAuth");
  add_extension(x, NID_subject_alt_name, "DNS:localhost");
  must(X509_sign(x, key.get(), EVP_sha256()) > 0);
  const Owned<BIO> chain(BIO_new(BIO_s_mem())), secret(BIO_new(BIO_s_mem()));
  must(chain && secret && PEM_write_bio_X509(chain.get(), x) &&
       PEM_write_bio_PKCS8PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr));
  return {text_of(chain.get()), text_of(secret.get())};
}

Result<TlsContext> make_context(const Certificate& certificate) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* const native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  // Who connects cannot make this thread shake hands again and again, and idle connections keep no buffers.
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(native, 0);
  error_code error;
  // Asked for a passphrase, a program without a terminal would wait for one.
  context->set_password_callback([](size_t, ssl::context::password_purpose) { return std::string(); }, error);
  context->use_certificate_chain(boost::asio::buffer(certificate.chain), error);
  if (error) return fail(ErrorKind::Invalid, "there is no certificate in PEM: " + error.message());
  context->use_private_key(boost::asio::buffer(certificate.key), ssl::context::pem, error);
  const bool fits = !error && SSL_CTX_check_private_key(native) == 1;
  ERR_clear_error();
  if (!fits)
    return fail(ErrorKind::Invalid, "the key is not the private key of the certificate, in PEM without a passphrase" +
                                        (error ? ": " + error.message() : ""));
  return context;
}

Result<std::unique_ptr<CertificateFiles>> CertificateFiles::open(TlsFiles files, OnProblem on_problem, Clock now) {
  std::unique_ptr<CertificateFiles> out(new CertificateFiles(std::move(files), std::move(on_problem), std::move(now)));
  out->looked_ = out->now_();
  if (auto done = out->read(); !done) return fail(done.error());
  return out;
}

Result<void> CertificateFiles::read() {
  auto chain = read_file(files_.certificate);
  if (!chain) return fail(chain.error());
  auto key = read_file(files_.key);
  if (!key) return fail(key.error());
  Result<std::string> authorities = std::string();
  if (!files_.client_authorities.empty()) authorities = read_file(files_.client_authorities);
  if (!authorities) return fail(authorities.error());
  if (context_ && *chain == seen_.chain && *key == seen_.key && *authorities == seen_authorities_) return {};
  const Certificate now{std::move(*chain), std::move(*key)};
  auto context = make_context(now);
  if (!context) return fail(ErrorKind::Invalid, files_.certificate + " and " + files_.key + ": " + context.error().message);
  if (!files_.client_authorities.empty() && !ask_for_certificates(**context, *authorities))
    return fail(ErrorKind::Invalid, files_.client_authorities + " holds no certificate of an authority in PEM");
  context_ = std::move(*context);
  seen_ = now;
  seen_authorities_ = std::move(*authorities);
  return {};
}

TlsContext CertificateFiles::current() {
  if (now_() - looked_ < kBetweenLooks) return context_;
  looked_ = now_();
  const auto done = read();
  const std::string problem = done ? "" : done.error().message;
  if (!problem.empty() && problem != problem_ && on_problem_) on_problem_(problem);
  problem_ = problem;
  return context_;
}

std::vector<std::string> names_of_certificate(const x509_st* certificate) {
  std::vector<std::string> names;
  if (!certificate) return names;
  const auto add = [&names](const ASN1_STRING* string) {
    if (string && names.size() < kNames) names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)), static_cast<size_t>(ASN1_STRING_length(string)));
  };
  const X509_NAME* subject = X509_get_subject_name(certificate);
  for (int i = -1; (i = X509_NAME_get_index_by_NID(subject, NID_commonName, i)) >= 0;) {
    unsigned char* utf8 = nullptr;
    const int length = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)));
    if (length >= 0 && names.size() < kNames) names.emplace_back(reinterpret_cast<char*>(utf8), static_cast<size_t>(length));
    OPENSSL_free(utf8);
  }
  auto* others = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(others); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(others, i);
    if (name->type == GEN_DNS) add(name->d.dNSName);
    if (name->type == GEN_URI) add(name->d.uniformResourceIdentifier);
  }
  GENERAL_NAMES_free(others);
  return names;
}

}  // namespace mo::serve
