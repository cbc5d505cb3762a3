// What a Model needs to know of the Deployment and the Service that it takes the place of, out of the API server's
// JSON. Pure functions, thread-safe. ErrorKind::Malformed when it cannot be read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "operator/core/result.h"

namespace mo::evidence {

// {"uid", "resourceVersion", "replicas", "ready", "labels" (of its pods), "controller" ("kind name" of its owner, or ""), "deleting"}; `ready`
// is 0 as long as its status is of an older generation.
Result<std::string> adopted_deployment(std::string_view deployment);

// {"uid", "resourceVersion", "selector", "ports" (without what the cluster gave them), "managedBy" (the label, or ""), "controller",
// "external" (it has no selector to turn), "headless", "applied" (by us)}
Result<std::string> adopted_service(std::string_view service);

// The names of those Services of a list that select pods with these labels, and where the next part of the list begins ("": nowhere).
struct Selecting {
  std::vector<std::string> services;
  std::string next;
};
Result<Selecting> services_that_select(std::string_view list, std::string_view deployment_words);

}  // namespace mo::evidence
