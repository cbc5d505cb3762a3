#include "operator/serve/tls.h"

#include <openssl/x509v3.h>

#include <boost/asio/ssl/context.hpp>

namespace mo::serve {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

constexpr size_t kNames = 64;

std::string text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)), static_cast<size_t>(ASN1_STRING_length(string))};
}

Result<std::shared_ptr<ssl::context>> read_context(const TlsFiles& files) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* raw = context->native_handle();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  // A session that is taken up again would bring no certificate along to look at.
  SSL_CTX_set_options(raw, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(raw, 0);
  error_code error;
  const auto wrong = [&error](const std::string& what, const std::string& file) {
    return fail(ErrorKind::Invalid, what + " " + file + " cannot be used: " + error.message());
  };
  // Nobody is there to type a password.
  context->set_password_callback([](size_t, ssl::context::password_purpose) { return std::string(); }, error);
  context->use_certificate_chain_file(files.certificate, error);
  if (error) return wrong("the certificate", files.certificate);
  context->use_private_key_file(files.key, ssl::context::pem, error);
  if (error) return wrong("the key", files.key);
  if (files.client_authorities.empty()) return context;
  context->load_verify_file(files.client_authorities, error);
  STACK_OF(X509_NAME)* names = error ? nullptr : SSL_load_client_CA_file(files.client_authorities.c_str());
  if (!error && !names) error = error_code(static_cast<int>(ERR_get_error()), boost::asio::error::get_ssl_category());
  if (error) return wrong("the authority of client certificates", files.client_authorities);
  SSL_CTX_set_client_CA_list(raw, names);
  context->set_verify_mode(ssl::verify_peer, error);
  return context;
}

}  // namespace

Result<std::shared_ptr<Tls>> Tls::read(TlsFiles files) {
  std::shared_ptr<Tls> tls(new Tls(std::move(files)));
  if (const auto first = tls->refresh(); !first) return fail(first.error());
  return tls;
}

Result<void> Tls::refresh() {
  auto read = read_context(files_);
  if (!read) return fail(read.error());
  std::lock_guard lock(mutex_);
  context_ = std::move(*read);
  return {};
}

std::shared_ptr<ssl::context> Tls::context() const {
  std::lock_guard lock(mutex_);
  return context_;
}

std::vector<std::string> names_of_certificate(void* x509) {
  std::vector<std::string> names;
  auto* certificate = static_cast<X509*>(x509);
  if (!certificate) return names;
  const auto add = [&names](const ASN1_STRING* string) {
    if (string && names.size() < kNames) names.push_back(text_of(string));
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
