#include "plugin/complete.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

namespace mo::plugin {
namespace {

// As the shells' side of cobra has them.
constexpr const char* kFiles = ":0";
constexpr const char* kNoFiles = ":4";
constexpr const char* kFolders = ":16";

// What the value of a flag is one of: a fixed choice, or what is looked up under that name.
const std::map<std::string, std::vector<std::string>> kChoices = {
    {"--output", {"json", "yaml", "name"}}, {"--dry-run", {"none", "client", "server"}}};
const std::map<std::string, std::string> kLookedUp = {{"--to", "versions"},
                                                      {"--stable", "versions"},
                                                      {"--candidate", "versions"},
                                                      {"--run", "runs"},
                                                      {"--rollout", "rollouts"},
                                                      {"--namespace", "namespaces"},
                                                      {"--context", "contexts"}};

class Completing {
 public:
  Completing(const CLI::App& app, const std::vector<std::string>& args, const Lookup& lookup)
      : app_(app), lookup_(lookup), last_(args.empty() ? "" : args.back()),
        words_(split(app, {args.begin(), args.empty() ? args.end() : args.end() - 1})),
        verb_(verb_of(app, words_.verb)) {}

  std::vector<std::string> lines() {
    // "--namespace=pay": the shell keeps what stands before the value.
    const size_t equals = last_.find('=');
    if (words_.open.empty() && last_.starts_with("--") && equals != std::string::npos) {
      if (const CLI::Option* option = option_of(app_, verb_, last_.substr(0, equals)))
        words_.open = long_name(option);
      last_.erase(0, equals + 1);
    }
    if (words_.open == "--filename" || words_.open == "--kubeconfig" || words_.open == "--public-key") return {kFiles};
    if (words_.verb == "evidence" && words_.open == "--output") return {kFiles};
    if (words_.verb == "verify" && words_.open.empty() && !last_.starts_with("-")) return {kFiles};
    if (words_.open == "--kustomize") return {kFolders};
    if (!words_.open.empty())
      propose_value();
    else if (last_.starts_with("-"))
      propose_flags();
    else if (words_.verb.empty())
      for (const CLI::App* one : app_.get_subcommands({})) propose(one->get_name(), one->get_description());
    else if (verb_)
      propose_names();
    lines_.push_back(kNoFiles);
    return std::move(lines_);
  }

 private:
  void propose(const std::string& word, const std::string& what = "") {
    if (word.starts_with(last_)) lines_.push_back(what.empty() ? word : word + "\t" + what);
  }

  void propose_value() {
    if (const auto choice = kChoices.find(words_.open); choice != kChoices.end()) {
      for (const std::string& word : choice->second) propose(word);
      if (words_.open == "--output" && words_.verb == "get") propose("wide");
    } else if (const auto what = kLookedUp.find(words_.open); what != kLookedUp.end()) {
      CompletionContext words = words_;
      if (!option_of(app_, verb_, "MODEL")) words.names.clear();  // they are no Models
      for (const std::string& word : lookup_(what->second, words)) propose(word);
    }  // else only its writer knows
  }

  void propose_flags() {
    for (const CLI::App* verb : app_.get_subcommands({}))
      if (verb == verb_)
        for (const CLI::Option* option : verb->get_options())
          if (!long_name(option).empty()) propose(long_name(option), option->get_description());
  }

  // "fraud", or "model/fraud" and "mro/fraud-v2-3" once that is how the word begins.
  void propose_names() {
    if ((option_of(app_, verb_, "VERSION") || words_.verb == "evidence") && words_.names.empty()) {
      for (const std::string& name : lookup_("versions", words_)) propose(name);
      return;
    }
    const CLI::Option* models = option_of(app_, verb_, "MODEL");
    if (!models || (!words_.names.empty() && models->get_items_expected_max() == 1)) return;
    const std::string prefix = last_.substr(0, last_.find('/') + 1);
    const bool rollouts = prefix == "mro/" || prefix.starts_with("modelrollout");
    if (rollouts && !option_of(app_, verb_, "--rollout")) return;
    CompletionContext words = words_;
    if (rollouts) words.names.clear();  // of any Model
    for (const std::string& name : lookup_(rollouts ? "rollouts" : "models", words))
      if (std::find(words_.names.begin(), words_.names.end(), prefix + name) == words_.names.end())
        propose(prefix + name);
  }

  const CLI::App& app_;
  const Lookup& lookup_;
  std::string last_;
  CompletionContext words_;
  const CLI::App* verb_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> complete(const CLI::App& app, const std::vector<std::string>& args,
                                  const Lookup& lookup) {
  return Completing(app, args, lookup).lines();
}

}  // namespace mo::plugin
