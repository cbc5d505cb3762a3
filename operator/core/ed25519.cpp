#include "operator/core/ed25519.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <stdexcept>

#include "operator/core/digest.h"

namespace mo {
namespace {

struct Free {
  void operator()(BIO* b) const { BIO_free(b); }
  void operator()(EVP_PKEY* k) const { EVP_PKEY_free(k); }
  void operator()(EVP_MD_CTX* c) const { EVP_MD_CTX_free(c); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Context = std::unique_ptr<EVP_MD_CTX, Free>;

constexpr size_t kSignature = 64;

// Asked for a passphrase, a program without a terminal would wait for one.
int no_passphrase(char*, int, int, void*) { return 0; }

Key read_pem(const std::string& pem, bool is_private) {
  const std::unique_ptr<BIO, Free> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return nullptr;
  Key key(is_private ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr)
                     : PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  return key && EVP_PKEY_base_id(key.get()) == EVP_PKEY_ED25519 ? std::move(key) : nullptr;
}

std::string id_of(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) throw std::runtime_error("OpenSSL cannot write a public key");
  const std::string bytes(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return sha256_of(bytes);
}

std::shared_ptr<void> shared(Key key) {
  return {key.release(), [](void* k) { EVP_PKEY_free(static_cast<EVP_PKEY*>(k)); }};
}

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

}  // namespace

Result<SigningKey> SigningKey::read(const std::string& pem) {
  Key key = read_pem(pem, true);
  if (!key)
    return fail(ErrorKind::Invalid,
                "is not an Ed25519 private key in PEM without a passphrase; create one with openssl genpkey -algorithm ed25519");
  SigningKey out;
  out.id_ = id_of(key.get());
  out.key_ = shared(std::move(key));
  return out;
}

std::string SigningKey::sign(std::string_view bytes) const {
  const Context context(EVP_MD_CTX_new());
  std::string signature(kSignature, '\0');
  size_t size = signature.size();
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, static_cast<EVP_PKEY*>(key_.get())) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, bytes_of(bytes), bytes.size()) !=
          1)
    throw std::runtime_error("OpenSSL cannot sign");
  return to_base64(signature);
}

Result<PublicKey> PublicKey::read(const std::string& pem) {
  Key key = read_pem(pem, false);
  if (!key) return fail(ErrorKind::Invalid, "is not an Ed25519 public key in PEM; write it with openssl pkey -in KEY -pubout");
  PublicKey out;
  out.id_ = id_of(key.get());
  out.key_ = shared(std::move(key));
  return out;
}

bool PublicKey::made(std::string_view bytes, const std::string& signature) const {
  const std::string raw = from_base64(signature);
  const Context context(EVP_MD_CTX_new());
  return context && raw.size() == kSignature &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, static_cast<EVP_PKEY*>(key_.get())) == 1 &&
         EVP_DigestVerify(context.get(), bytes_of(raw), raw.size(), bytes_of(bytes), bytes.size()) == 1;
}

std::string to_base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes_of(bytes), static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(size));
  return out;
}

std::string from_base64(const std::string& text) {
  if (text.empty() || text.size() % 4 != 0) return "";
  std::string out(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes_of(text), static_cast<int>(text.size()));
  if (size < 0) return "";
  out.resize(static_cast<size_t>(size) - (text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0));
  return out;
}

}  // namespace mo
