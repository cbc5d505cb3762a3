// TLS of a server of ours: its own certificate, and who signs the certificates of callers that count.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "operator/core/result.h"

namespace boost::asio::ssl {
class context;
}

namespace mo::serve {

struct TlsFiles {  // PEM
  std::string certificate, key;
  std::string client_authorities;  // empty: callers are asked for no certificate
};

// What a caller's certificate says of the caller. A connection is kept whatever it says, so that the answer can say why it counts for nothing.
struct Certified {
  bool shown = false;
  std::string problem;             // why it counts for nothing, in OpenSSL's words; empty: one of the authorities vouches for it now
  std::vector<std::string> names;  // its common name, DNS names and URIs
  bool holds() const { return shown && problem.empty(); }
};

// Thread-safe.
class Tls {
 public:
  // ErrorKind::Invalid names the file and what is wrong with it.
  static Result<std::shared_ptr<Tls>> read(TlsFiles files);

  // Reads the files again, for connections from now on: mounted Secrets change in place. What was read before stays if they cannot be used.
  Result<void> refresh();
  std::shared_ptr<boost::asio::ssl::context> context() const;

 private:
  explicit Tls(TlsFiles files) : files_(std::move(files)) {}
  const TlsFiles files_;
  mutable std::mutex mutex_;
  std::shared_ptr<boost::asio::ssl::context> context_;
};

// The names that a certificate bears: an X509*, or null.
std::vector<std::string> names_of_certificate(void* x509);

}  // namespace mo::serve
