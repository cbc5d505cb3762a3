// One number from a web service that answers JSON.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>
#include <string_view>

#include "operator/core/plan.h"
#include "operator/kube/transport.h"

namespace mo::evidence {

// The value at `path` of a JSON text: members by ".", items by "[n]", as in data.results[0].accuracy; empty: the whole
// is the value. A number, or a text that holds a decimal. Pure.
Reading value_at(std::string_view json, const std::string& path);

// Thread-safe if the transport is.
class Web {
 public:
  // `tokens`: a folder whose file <host> or <host>:<port> holds the bearer token for that server and no other, so that who
  // writes a URL can send nobody's token elsewhere; empty: none. Tokens go over https alone, and are read afresh each
  // time, so that they can be rotated.
  Web(kube::HttpTransport& http, std::filesystem::path tokens);

  // Blocks for at most 10 s. Redirects are not followed, and answers longer than 1 MiB are refused.
  Reading get(const AskWeb& question, std::stop_token stop) const;

 private:
  kube::HttpTransport& http_;
  const std::filesystem::path tokens_;
};

}  // namespace mo::evidence
