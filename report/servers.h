// Pods that serve models, known by their image, labels or owner: what finds those that no Model knows.
#pragma once

#include <optional>
#include <string>

#include "operator/json/json.h"

namespace mo::report {

struct Seen {
  std::string product, why;
};
// What kind of model server the Pod is; nothing if it looks like none.
std::optional<Seen> model_server(const Json& pod);
// The Model that it says to belong to; empty if to none.
std::string model_of(const Json& pod);
// The workload that made it, as its owner's name tells: "ReplicaSet", "triton". Else the pod itself.
std::pair<std::string, std::string> workload_of(const Json& pod);

}  // namespace mo::report
