// Shell completion as kubectl asks plugins for it: kubectl_complete-model is called with the words so far,
// the last being the one to complete, and prints one proposal a line, then what the shell is to do besides.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace mo::plugin {

// Null if there is no such verb.
const CLI::App* verb_of(const CLI::App& app, const std::string& name);

// What stands before the word to complete.
struct Words {
  std::string verb;
  std::vector<std::string> names;                            // that are no flags
  std::vector<std::pair<std::string, std::string>> options;  // "--namespace", "payments"
  std::string open;                                          // the flag whose value is to be completed
  std::string value(const std::string& option) const;
};

// What only the cluster knows: "models", "versions", "rollouts".
using Lookup = std::function<std::vector<std::string>(const std::string& what, const Words& words)>;

// The lines to print.
std::vector<std::string> complete(const CLI::App& app, const std::vector<std::string>& args,
                                  const Lookup& lookup);

}  // namespace mo::plugin
