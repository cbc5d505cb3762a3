// Certificates for HttpServer: one that it signs itself, or a pair of files that somebody renews.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "operator/core/result.h"
#include "operator/core/time.h"

namespace boost::asio::ssl {
class context;
}

namespace mo::serve {

using TlsContext = std::shared_ptr<boost::asio::ssl::context>;
// What a server shows to the next that connects; never null. Called on the server's thread, so it must not block for long.
using Tls = std::function<TlsContext()>;

// In PEM.
struct Certificate {
  std::string chain, key;
};

// A new key of the curve P-256, and a certificate for localhost that it signs itself, valid for ten years. Who listens on the network reads
// nothing; but clients cannot tell by it whom they talk to.
Certificate self_signed(TimePoint now);

// TLS 1.2 and later. ErrorKind::Invalid if these are no certificate and its private key without a passphrase.
Result<TlsContext> make_context(const Certificate& certificate);

// The files tls.crt and tls.key of a folder, as a Secret of the type kubernetes.io/tls has them. They are looked at again when somebody connects,
// at most once a second. What cannot be used leaves what was there before, and is told once. Not thread-safe.
class CertificateFolder {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;
  using Told = std::function<void(const std::string& problem)>;

  // ErrorKind::Invalid, naming the file, if they cannot be used.
  static Result<std::unique_ptr<CertificateFolder>> open(std::filesystem::path folder, Told told, Clock now = std::chrono::steady_clock::now);

  TlsContext current();

 private:
  CertificateFolder(std::filesystem::path folder, Told told, Clock now)
      : folder_(std::move(folder)), told_(std::move(told)), now_(std::move(now)) {}
  Result<void> read();

  const std::filesystem::path folder_;
  const Told told_;
  const Clock now_;
  std::chrono::steady_clock::time_point looked_;
  Certificate seen_;
  std::string problem_;  // what was told last
  TlsContext context_;
};

}  // namespace mo::serve
