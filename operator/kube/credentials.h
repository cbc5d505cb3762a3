// Who we are and whom we trust, as of now: tokens, certificates and CAs that may change while we run.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "operator/core/result.h"
#include "operator/core/time.h"
#include "operator/kube/config.h"

namespace mo::kube {

// All PEM. One value is never changed once it was handed out; two that are equal are the same pointer.
struct TlsMaterial {
  std::string ca;    // empty: the system's CAs
  std::string cert;  // the chain; empty: no client certificate
  std::string key;
  bool operator==(const TlsMaterial&) const = default;
};

struct CredentialTimes {
  std::chrono::milliseconds token_lifetime{60'000};  // a token file is read again after that
  std::chrono::milliseconds file_check{1'000};   // certificates and CAs are looked at no more often than that
  std::chrono::milliseconds exec_limit{30'000};  // an exec plugin is killed after that
};

// Thread-safe. A file that cannot be read (any more), or a certificate whose key has not been written yet,
// leaves what was read last in use; only the first reading can fail. A call may block for as long as an exec
// plugin runs.
class Credentials {
 public:
  using Clock = std::function<TimePoint()>;

  explicit Credentials(Config config, CredentialTimes times = {}, Clock clock = {});

  // The value of the Authorization header; "" if we have none (client certificates only).
  // ErrorKind::Unauthorized when it cannot be had: no such file, the exec plugin failed.
  Result<std::string> authorization();

  // The API server answered 401 to this value: read the token again and run the exec plugin again, unless
  // somebody else has done so since. Whether it makes sense to try again, which means: whether there is
  // anything that can change.
  bool refresh(const std::string& refused_authorization);

  // CA, client certificate and key. ErrorKind::Invalid when they cannot be read or do not belong together.
  Result<std::shared_ptr<const TlsMaterial>> tls();

  const Config& config() const { return config_; }

 private:
  struct ExecResult {
    std::string token, cert, key;
    std::optional<TimePoint> expires;
  };
  Result<std::string> file_token(TimePoint now);
  Result<void> run_exec_if_due(TimePoint now);
  Result<TlsMaterial> read_tls() const;
  std::string stamps() const;

  const Config config_;
  const CredentialTimes times_;
  const Clock clock_;
  std::mutex mutex_;  // guards all below
  std::string token_;
  std::optional<TimePoint> token_read_at_;
  std::optional<ExecResult> exec_;
  std::shared_ptr<const TlsMaterial> tls_;
  std::string tls_stamps_;
  std::optional<TimePoint> tls_checked_at_;
};

// Whether this PEM certificate and PEM key belong together.
bool key_matches(const std::string& cert_pem, const std::string& key_pem);

}  // namespace mo::kube
