// Ed25519 signatures, with keys in PEM as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write them.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "operator/core/result.h"

namespace mo {

// Immutable and thread-safe.
class SigningKey {
 public:
  // ErrorKind::Invalid if that is no Ed25519 private key in PEM without a passphrase.
  static Result<SigningKey> read(const std::string& pem);

  // Base64. The same for the same bytes each time. Throws std::runtime_error if OpenSSL cannot.
  std::string sign(std::string_view bytes) const;
  // As that of its public key.
  const std::string& id() const { return id_; }

 private:
  std::shared_ptr<void> key_;
  std::string id_;
};

// Immutable and thread-safe. Reading one takes about as long as checking a signature.
class PublicKey {
 public:
  // ErrorKind::Invalid if that is no Ed25519 public key in PEM.
  static Result<PublicKey> read(const std::string& pem);

  // Whether it made this signature, in base64, of these bytes.
  bool made(std::string_view bytes, const std::string& signature) const;
  // The SHA-256 of the key in DER, as sha256_of() writes it.
  const std::string& id() const { return id_; }

 private:
  std::shared_ptr<void> key_;
  std::string id_;
};

// Of base64 without line breaks; from_base64 gives nothing for what is none.
std::string to_base64(std::string_view bytes);
std::string from_base64(const std::string& text);

}  // namespace mo
