// `model-operator import mlflow`: the Job that brings a version of a registered model into a volume of the
// cluster or an S3 store.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/core/time.h"
#include "operator/kube/transport.h"

namespace mo {

struct ImportOptions {
  std::string url, model;                  // of the MLflow server; of the registered model
  std::string alias, version;              // which of its versions; `alias` counts where there is no `version`
  std::string uri;  // pvc://claim, pvc://claim/folder, s3://bucket or s3://bucket/prefix: where others find
                    // what is stored
  std::filesystem::path store = "/store";  // that claim's volume
  std::filesystem::path store_credentials_dir;  // of s3://, a mounted Secret (s3.h)
  std::filesystem::path work =
      "/work";  // takes the version's files while they come, for s3:// their archive too
  std::string format = "mlflow", format_version;
  std::filesystem::path credentials_dir;  // a mounted Secret (credentials.h), never sent over http://; empty: there is none
  std::filesystem::path result = "/dev/termination-log";  // takes the RunResult or, where it fails, the last sentence
  std::vector<std::string> metrics;                       // those that gates read, first of all that are reported
  Duration timeout = std::chrono::minutes(30);
  uint64_t max_bytes = 10ull << 30;
  Duration first_retry = std::chrono::milliseconds(500);  // doubles up to 10 s
};

// Downloads the version's files by MLflow's artifact proxy, packs them as `model-operator pack` does, puts the archive into the
// store under a name with its digest, and reports it with the metrics, parameters and code that MLflow has of the run, as many as
// a termination message holds. The archive is there complete or not at all; the same version makes the same one again. Exit codes
// are those of fetch. The last line on `log` says how it ended. Never throws.
int import_from_mlflow(const ImportOptions& options, kube::PlainTransport& http, kube::PlainTransport& store,
                       std::ostream& log, std::stop_token stop);

// The same with libcurl and stderr. Redirects are not followed.
int import_main(const ImportOptions& options, std::stop_token stop);

}  // namespace mo
