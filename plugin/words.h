// The words of a command line before they are parsed: which is the verb, which are values of flags. Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace mo::plugin {

// Null if there is no such verb.
const CLI::App* verb_of(const CLI::App& app, const std::string& name);

// "-n" or "--namespace" of that verb; of any verb while `verb` is null. Null if there is none.
const CLI::Option* option_of(const CLI::App& app, const CLI::App* verb, const std::string& flag);

// By its long name, whichever was written.
std::string long_name(const CLI::Option* option);

// The words as the parser takes them: the verb first, since kubectl lets flags stand before it, and -n=a as -na.
std::vector<std::string> verb_first(const CLI::App& app, std::vector<std::string> words);

// What stands before the word to complete.
struct CompletionContext {
  std::string verb;
  std::vector<std::string> names;                            // that are no flags
  std::vector<std::pair<std::string, std::string>> options;  // "--namespace", "payments"
  std::string open;                                          // the flag whose value is to be completed
  std::string value(const std::string& option) const;        // the first; empty if there is none
  std::vector<std::string> values(const std::string& option) const;
};
CompletionContext split(const CLI::App& app, const std::vector<std::string>& before);

}  // namespace mo::plugin
