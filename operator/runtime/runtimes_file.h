// --runtimes-file: ModelRuntimes from a file instead of the cluster, for an operator that may not read
// cluster-scoped objects.
#pragma once

#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/api/types.h"
#include "operator/core/result.h"
#include "operator/store/store.h"

namespace mo {

// YAML documents as JSON texts; see operator/yaml. ErrorKind::Invalid with the line if it is not YAML.
Result<std::vector<std::string>> yaml_to_json(const std::string& yaml);

// The ModelRuntimes of a YAML text. ErrorKind::Invalid if one document is something else or has no name: the
// file is taken whole or not at all.
Result<std::vector<api::ModelRuntime>> read_runtimes(const std::string& yaml);

// Not thread-safe, but fills a store that is. A file that cannot be read leaves what was read last; the log
// says why.
class RuntimesFile {
 public:
  RuntimesFile(std::filesystem::path file, Store<api::ModelRuntime>& store, std::function<void()> changed)
      : file_(std::move(file)), store_(store), changed_(std::move(changed)) {}

  // Reads the file if its content changed. Fails only before the first success.
  Result<void> poll();
  // Polls every ten seconds until `stop`.
  void run(std::stop_token stop);

 private:
  std::filesystem::path file_;
  Store<api::ModelRuntime>& store_;
  std::function<void()> changed_;
  std::string content_;
  bool read_ = false;
  uint64_t revision_ = 0;  // stands in for the resourceVersion
};

}  // namespace mo
