// Shell completion as kubectl asks plugins for it: kubectl_complete-model is called with the words so far,
// the last being the one to complete, and prints one proposal a line, then what the shell is to do besides.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "plugin/words.h"

namespace mo::plugin {

// What only the cluster and the kubeconfig know: "models", "versions", "rollouts", "namespaces", "contexts".
using Lookup = std::function<std::vector<std::string>(const std::string& what, const CompletionContext& words)>;

// The lines to print.
std::vector<std::string> complete(const CLI::App& app, const std::vector<std::string>& args,
                                  const Lookup& lookup);

}  // namespace mo::plugin
