// One number from a web service that answers JSON.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>
#include <string_view>

#include "operator/core/plan.h"
#include "operator/evidence/web_access.h"
#include "operator/kube/transport.h"

namespace mo::evidence {

// The value at `path` of a JSON text: members by ".", items by "[n]", as in data.results[0].accuracy; empty: the whole
// is the value. A number, or a text that holds a decimal. Pure.
Reading value_at(std::string_view json, const std::string& path);

// The file that holds the bearer token which gates of this namespace send to that server: NAMESPACE_HOST, with _PORT unless it is 443. Without
// a namespace, _HOST, it is for gates of ClusterModelGateSets. Neither of the parts can hold a '_', and a Secret's key can.
std::string token_name(const std::string& ns, const WebOrigin& server);
bool is_token_name(const std::string& file);

// Thread-safe if the transport is.
class Web {
 public:
  // `tokens`: the folder of the files that token_name() names; empty: none. So who writes a URL can send nobody's token elsewhere, nor another
  // namespace's anywhere. Tokens go over https alone, and are read afresh each time, so that they can be rotated.
  Web(kube::HttpTransport& http, std::filesystem::path tokens, WebAccess access);

  // A GET of `url` for a Model in namespace `ns`, with its token, that goes where it may alone. ErrorKind::Invalid or Forbidden for a URL that
  // may not be asked. It holds this Web: send it as long as that lives.
  Result<kube::HttpRequest> request(const std::string& ns, const std::string& url, bool of_cluster = false) const;

  // For a gate of a Model in namespace `ns`. Blocks for at most 10 s. Redirects are not followed, and answers longer than 1 MiB are refused.
  Reading get(const std::string& ns, const AskWeb& question, std::stop_token stop) const;

 private:
  kube::HttpTransport& http_;
  const std::filesystem::path tokens_;
  const WebAccess access_;
};

}  // namespace mo::evidence
