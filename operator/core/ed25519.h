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
  // As key_id() of its public key.
  const std::string& id() const { return id_; }

 private:
  std::shared_ptr<void> key_;
  std::string id_;
};

// Which key it is: the SHA-256 of the public key in DER, as sha256_of() writes it. ErrorKind::Invalid if that is no Ed25519
// public key in PEM.
Result<std::string> key_id(const std::string& public_key_pem);

// Whether the key made this signature, in base64, of these bytes. ErrorKind::Invalid if the key cannot be read.
Result<bool> verify_ed25519(const std::string& public_key_pem, std::string_view bytes, const std::string& signature);

// Of base64 without line breaks; from_base64 gives nothing for what is none.
std::string to_base64(std::string_view bytes);
std::string from_base64(const std::string& text);

}  // namespace mo
