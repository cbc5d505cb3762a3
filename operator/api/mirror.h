// How a registry of models is told what became of the versions that were imported from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "operator/core/time.h"

namespace mo::api {

// Where a ModelVersion was imported from, as its lineage says.
struct RegistryOrigin {
  std::string url, model,
      version;  // of the server, without "/" at its end; of the registered model; its version
};

// What the registry is told of one of its versions.
struct MirroredVersion {
  std::string version, name;  // the registry's, and the ModelVersion's
  std::string state;          // Serving | Superseded | RolledBack | Rejected | Retired
  std::string reason;
  bool operator==(const MirroredVersion&) const = default;
};

// Model.status.retraining.mirror. Each change of what the registry is to know has a number; one Job at a time
// writes the newest.
struct MirrorStatus {
  std::string registry;                   // a hash of what is told, and whom: of another one all is told anew
  std::vector<MirroredVersion> versions;  // the newest first
  int64_t change = 0, written = 0;        // the newest, and the last that the registry holds
  int64_t writing = 0;                    // that `job` writes, at least
  std::string job;                        // that writes now; empty: none does
  int attempts = 0;                       // Jobs that failed to write `change`
  std::optional<TimePoint> retry_at;
  std::string message;  // why the registry does not hold the newest; empty: it does, or will soon
};

}  // namespace mo::api
