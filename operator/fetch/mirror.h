// `model-operator mirror mlflow`: the Job that tells a registry of models which of its versions serves.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/core/time.h"
#include "operator/kube/transport.h"

namespace mo {

struct MirrorOptions {
  std::string url, model;  // of the MLflow server; of the registered model
  std::string alias;       // that the version has which serves, and that begins the names of tags
  std::vector<std::string>
      states;  // {"version", "modelVersion", "state", "reason"} each, as JSON; at most one is Serving
  std::filesystem::path
      credentials_dir;  // a mounted Secret (credentials.h), never sent over http://; empty: there is none
  std::filesystem::path result = "/dev/termination-log";  // takes the last sentence
  Duration timeout = std::chrono::minutes(2);
  Duration first_retry = std::chrono::milliseconds(500);  // doubles up to 10 s
};

// Writes to each version the tags modelops.ALIAS (the state), modelops.ALIAS.reason and
// modelops.ALIAS.version (the ModelVersion), then gives the alias to the one that serves. Where none does it
// takes the alias away, but only from a version that has such a tag. Writes nothing that is there already. A
// version that MLflow does not have any more is passed over, unless it serves. Exit codes are those of fetch.
// The last line on `log` says how it ended. Never throws.
int mirror_to_mlflow(const MirrorOptions& options, kube::PlainTransport& http, std::ostream& log,
                     std::stop_token stop);

// The same with libcurl and stderr. Redirects are not followed.
int mirror_main(const MirrorOptions& options, std::stop_token stop);

}  // namespace mo
