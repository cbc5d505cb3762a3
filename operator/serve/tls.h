// TLS for HttpServer: a certificate that it signs itself, or files that somebody renews, and what callers' certificates say.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "operator/core/result.h"
#include "operator/core/time.h"

struct x509_st;  // OpenSSL's X509

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

// What a caller's certificate says of the caller. A connection is kept whatever it says, so that the answer can say why it counts for nothing.
struct Certified {
  bool shown = false;
  std::string problem;             // why it counts for nothing, in OpenSSL's words; empty: one of the authorities vouches for it now
  std::vector<std::string> names;  // its common name, DNS names and URIs
  bool holds() const { return shown && problem.empty(); }
};
// Null bears none.
std::vector<std::string> names_of_certificate(const x509_st* certificate);

// TLS 1.2 and later. ErrorKind::Invalid if these are no certificate and its private key without a passphrase.
Result<TlsContext> make_context(const Certificate& certificate);

struct TlsFiles {  // PEM
  std::string certificate, key;
  std::string client_authorities = {};  // empty: callers are asked for no certificate
};

// Files are checked for changes at each connection, at most once a second, because mounted Secrets change in place. Invalid files keep the previous
// certificate and are reported once. Not thread-safe.
class CertificateFiles {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;
  using OnProblem = std::function<void(const std::string& problem)>;

  // ErrorKind::Invalid, naming the file, if they cannot be used.
  static Result<std::unique_ptr<CertificateFiles>> open(TlsFiles files, OnProblem on_problem, Clock now = std::chrono::steady_clock::now);
  // tls.crt and tls.key of a folder, as a Secret of the type kubernetes.io/tls has them.
  static TlsFiles in(const std::filesystem::path& folder) { return {(folder / "tls.crt").string(), (folder / "tls.key").string()}; }

  TlsContext current();

 private:
  CertificateFiles(TlsFiles files, OnProblem on_problem, Clock now) : files_(std::move(files)), on_problem_(std::move(on_problem)), now_(std::move(now)) {}
  Result<void> read();

  const TlsFiles files_;
  const OnProblem on_problem_;
  const Clock now_;
  std::chrono::steady_clock::time_point looked_;
  Certificate seen_;
  std::string seen_authorities_;
  std::string problem_;  // the last reported problem
  TlsContext context_;
};

}  // namespace mo::serve
