#include "operator/kube/cpprest_tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <boost/asio/ip/address.hpp>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>

namespace mo::kube::cpprest {
namespace {

void add_cas(X509_STORE* store, const std::string& pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  int count = 0;
  for (;; ++count) {
    const std::unique_ptr<X509, decltype(&X509_free)> cert(
        PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free);
    if (!cert) break;
    X509_STORE_add_cert(store, cert.get());
  }
  ERR_clear_error();  // the end of the text
  if (count == 0) throw std::runtime_error("the certificate authority holds no PEM certificate");
}

}  // namespace

SystemRoots take_system_roots() {
  const auto named = [](const char* variable, const char* otherwise) {
    const char* value = std::getenv(variable);
    return std::string(value && *value ? value : otherwise);
  };
  SystemRoots found{named(X509_get_default_cert_file_env(), X509_get_default_cert_file()),
                    named(X509_get_default_cert_dir_env(), X509_get_default_cert_dir())};
  ::setenv(X509_get_default_cert_file_env(), "", 1);
  ::setenv(X509_get_default_cert_dir_env(), "", 1);
  return found;
}

bool is_ip(const std::string& host) {
  boost::system::error_code problem;
  boost::asio::ip::make_address(host, problem);
  return !problem;
}

void set_up_tls(boost::asio::ssl::context& context, const TlsMaterial& tls, const SystemRoots& roots) {
  const std::unique_ptr<X509_STORE, decltype(&X509_STORE_free)> store(X509_STORE_new(), &X509_STORE_free);
  if (!store) throw std::bad_alloc();
  if (tls.ca.empty()) {
    X509_STORE_load_locations(store.get(), roots.file.c_str(), roots.folder.c_str());
    ERR_clear_error();
  } else {
    add_cas(store.get(), tls.ca);
  }
  SSL_CTX_set1_cert_store(context.native_handle(), store.get());
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  if (tls.cert.empty()) return;
  context.use_certificate_chain(boost::asio::buffer(tls.cert));
  context.use_private_key(boost::asio::buffer(tls.key), boost::asio::ssl::context::pem);
}

}  // namespace mo::kube::cpprest
