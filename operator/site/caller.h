// Who a request is of: the holder of a bearer token, or whom an authenticating proxy names in headers. Pure.
//
// Headers count as in Kubernetes' aggregation layer: only over a connection whose client certificate an authority of its own signed, for a
// name that is declared. An address would not do: whatever runs in the range, or gets an address of a pod that ended, could name anybody.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "operator/core/result.h"
#include "operator/kube/access_review.h"
#include "operator/serve/http_server.h"

namespace mo::site {

struct ProxyRules {
  std::vector<std::string> names;  // that certificates of proxies bear; empty: none is declared, and headers count for nothing
  std::string user_header = "X-Forwarded-User", groups_header = "X-Forwarded-Groups";
  std::string separator = ",";              // between groups in one header
  std::string user_prefix, groups_prefix;   // as the API server's --oidc-username-prefix has it
};
// ErrorKind::Invalid names the option that makes no sense.
Result<void> check(const ProxyRules& rules);

struct Caller {
  std::string key;                      // tells callers apart; empty: it is nobody, and `status` and `problem` are the answer
  std::string token;                    // that Kubernetes is to be asked about
  std::optional<kube::Identity> named;  // instead of it
  int status = 401;
  std::string problem;
};
Caller caller_of(const serve::Request& request, const ProxyRules& rules);

// The token of "Bearer TOKEN"; empty if there is none that can be one.
std::string token_of(std::string_view authorization);
Caller with_token(const std::string& token);

}  // namespace mo::site
