#include "plugin/words.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>

namespace mo::plugin {
namespace {

bool is_flag(const std::string& word) { return word.size() > 1 && word[0] == '-'; }

bool takes_value(const CLI::Option& option) { return option.get_items_expected_min() > 0; }

// One word of flags: "-n", "-nfoo", "-n=foo", "--namespace", "--namespace=foo", "-Aw".
struct Flag {
  const CLI::Option* option = nullptr;  // null: not known, or several without a value
  std::optional<std::string> value;     // in the same word
  bool wants_value() const { return option && takes_value(*option) && !value; }
};

Flag flag_of(const CLI::App& app, const CLI::App* verb, const std::string& word) {
  const size_t equals = word.find('=');
  Flag flag{option_of(app, verb, word.substr(0, equals)), {}};
  if (equals != std::string::npos) flag.value = word.substr(equals + 1);
  if (flag.option || word.size() <= 2 || word[1] == '-') return flag;
  flag = {option_of(app, verb, word.substr(0, 2)), word.substr(2)};
  return flag.option && takes_value(*flag.option) ? flag : Flag{};
}

}  // namespace

const CLI::App* verb_of(const CLI::App& app, const std::string& name) {
  for (const CLI::App* verb : app.get_subcommands({}))
    if (verb->get_name() == name) return verb;
  return nullptr;
}

const CLI::Option* option_of(const CLI::App& app, const CLI::App* verb, const std::string& flag) {
  for (const CLI::App* one : app.get_subcommands({})) {
    if (verb && one != verb) continue;
    for (const CLI::Option* option : one->get_options())
      if (option->check_name(flag)) return option;
  }
  return nullptr;
}

std::string long_name(const CLI::Option* option) {
  return option->get_lnames().empty() ? "" : "--" + option->get_lnames().front();
}

std::vector<std::string> verb_first(const CLI::App& app, std::vector<std::string> words) {
  bool value = false, found = false;
  for (size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    if (std::exchange(value, false)) continue;
    if (!is_flag(words[i])) {
      if (!std::exchange(found, true)) std::rotate(words.begin(), words.begin() + i, words.begin() + i + 1);
      continue;
    }
    const Flag flag = flag_of(app, found ? verb_of(app, words.front()) : nullptr, words[i]);
    value = flag.wants_value();
    if (flag.option && words[i].size() > 2 && words[i][1] != '-' && words[i][2] == '=') words[i].erase(2, 1);
  }
  return words;
}

std::string CompletionContext::value(const std::string& option) const {
  const auto all = values(option);
  return all.empty() ? "" : all.front();
}

std::vector<std::string> CompletionContext::values(const std::string& option) const {
  std::vector<std::string> all;
  for (const auto& [name, value] : options)
    if (name == option) all.push_back(value);
  return all;
}

CompletionContext split(const CLI::App& app, const std::vector<std::string>& before) {
  CompletionContext words;
  for (const std::string& word : before) {
    if (!words.open.empty()) {
      words.options.emplace_back(std::exchange(words.open, ""), word);
    } else if (is_flag(word)) {
      const Flag flag = flag_of(app, verb_of(app, words.verb), word);
      if (flag.wants_value())
        words.open = long_name(flag.option);
      else if (flag.option && flag.value)
        words.options.emplace_back(long_name(flag.option), *flag.value);
    } else if (words.verb.empty()) {
      words.verb = word;
    } else {
      words.names.push_back(word);
    }
  }
  return words;
}

}  // namespace mo::plugin
