#include "plugin/complete.h"

#include <CLI/CLI.hpp>

namespace mo::plugin {
namespace {

// As the shells' side of cobra has them.
constexpr const char* kFiles = ":0";
constexpr const char* kNoFiles = ":4";

const CLI::Option* option_of(const CLI::App* verb, const std::string& flag) {
  if (!verb) return nullptr;
  for (const CLI::Option* option : verb->get_options())
    if (option->check_name(flag)) return option;
  return nullptr;
}

// By its long name, whichever was written.
std::string long_name(const CLI::Option* option) {
  return option->get_lnames().empty() ? "" : "--" + option->get_lnames().front();
}

Words split(const CLI::App& app, const std::vector<std::string>& before) {
  Words words;
  for (const std::string& word : before) {
    if (!words.open.empty()) {
      words.options.emplace_back(std::exchange(words.open, ""), word);
    } else if (word.starts_with("-") && word != "-") {
      const size_t equals = word.find('=');
      const CLI::Option* option = option_of(verb_of(app, words.verb), word.substr(0, equals));
      if (!option || option->get_type_size() == 0) continue;
      if (equals == std::string::npos)
        words.open = long_name(option);
      else
        words.options.emplace_back(long_name(option), word.substr(equals + 1));
    } else if (words.verb.empty()) {
      words.verb = word;
    } else {
      words.names.push_back(word);
    }
  }
  return words;
}

}  // namespace

const CLI::App* verb_of(const CLI::App& app, const std::string& name) {
  for (const CLI::App* verb : app.get_subcommands({}))
    if (verb->get_name() == name) return verb;
  return nullptr;
}

std::string Words::value(const std::string& option) const {
  for (const auto& [name, value] : options)
    if (name == option) return value;
  return "";
}

std::vector<std::string> complete(const CLI::App& app, const std::vector<std::string>& args,
                                  const Lookup& lookup) {
  std::vector<std::string> lines;
  const std::string last = args.empty() ? "" : args.back();
  const Words words = split(app, {args.begin(), args.empty() ? args.end() : args.end() - 1});
  const auto propose = [&](const std::string& word, const std::string& what = "") {
    if (word.starts_with(last)) lines.push_back(what.empty() ? word : word + "\t" + what);
  };
  const auto propose_all = [&](const std::vector<std::string>& found) {
    for (const std::string& word : found) propose(word);
  };
  const CLI::App* verb = verb_of(app, words.verb);
  const bool takes_models = option_of(verb, "MODEL") != nullptr;
  if (words.open == "--filename") return {kFiles};
  if (words.open == "--kubeconfig") return {kFiles};
  if (words.open == "--to") {
    propose_all(lookup("versions", words));
  } else if (words.open == "--rollout") {
    propose_all(lookup("rollouts", words));
  } else if (words.open == "--output") {
    for (const char* format : {"json", "yaml", "name"}) propose(format);
    if (words.verb == "get") propose("wide");
  } else if (!words.open.empty()) {
    // Whatever it is, only its writer knows.
  } else if (words.verb.empty()) {
    for (const CLI::App* one : app.get_subcommands({})) propose(one->get_name(), one->get_description());
  } else if (verb && last.starts_with("-")) {
    for (const CLI::Option* option : verb->get_options())
      if (!long_name(option).empty()) propose(long_name(option), option->get_description());
  } else if (takes_models && (words.names.empty() || words.verb == "get")) {
    propose_all(lookup("models", words));
  }
  lines.push_back(kNoFiles);
  return lines;
}

}  // namespace mo::plugin
