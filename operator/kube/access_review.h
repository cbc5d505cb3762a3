// Who a bearer token belongs to, and whether they may get a path that is not the API server's: TokenReview and
// SubjectAccessReview.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "operator/core/result.h"
#include "operator/kube/client.h"
#include "operator/kube/transport.h"

namespace mo::kube {

struct AccessVerdict {
  bool authenticated = false;
  bool allowed = false;
  std::string user;  // empty unless authenticated
};

// Whom a token belongs to.
struct Identity {
  bool authenticated = false;
  std::string name;  // empty unless authenticated
  std::string user;  // as TokenReview tells it, as JSON
};

// Thread-safe.
class AccessReviews {
 public:
  // `transport` talks to the server of `credentials`. Of the options the program, version, observer and deadline
  // count; the deadline is that of each of the two requests.
  AccessReviews(std::unique_ptr<HttpTransport> transport, std::shared_ptr<Credentials> credentials,
                ClientOptions options);

  // Whether whoever has `token` may `get` the path, by RBAC's nonResourceURLs. Blocks. An Error means that it is not
  // known: ErrorKind::Forbidden if we may not ask, Malformed for an answer that says neither yes nor no.
  Result<AccessVerdict> may_get(const std::string& path, const std::string& token, std::stop_token stop);

  Result<Identity> who(const std::string& token, std::stop_token stop);
  // Whether they may list objects of group modelops.dev; `ns` empty: in all namespaces.
  Result<bool> may_list(const Identity& who, const std::string& plural, const std::string& ns, std::stop_token stop);

 private:
  Result<bool> allowed(const std::string& body, std::stop_token stop);
  Result<std::string> post(const char* plural, const std::string& target, const std::string& body,
                           const std::stop_token& stop);

  const std::unique_ptr<HttpTransport> transport_;
  const std::shared_ptr<Credentials> credentials_;
  const ClientOptions options_;
};

}  // namespace mo::kube
