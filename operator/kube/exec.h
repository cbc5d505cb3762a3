// Runs exec credential plugins.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "operator/core/result.h"
#include "operator/core/time.h"
#include "operator/kube/config.h"

namespace mo::kube {

struct ExecCredential {
  std::string token;
  std::string client_certificate, client_key;  // PEM
  std::optional<TimePoint> expires;
};

// Runs the plugin in its own process group, with standard input closed, at most `limit` and 1 MiB of output;
// then kills the group. Errors are ErrorKind::Unauthorized, with the plugin's name, how it ended and the
// start of what it wrote to standard error.
Result<ExecCredential> run_exec_plugin(const Config& config, std::chrono::milliseconds limit);

}  // namespace mo::kube
