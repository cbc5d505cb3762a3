#include "plugin/names.h"

#include <algorithm>

#include "plugin/crds.h"

namespace mo::plugin {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool is_called(const Crd& crd, const std::string& word) {
  const std::string version = crd.api_version.substr(crd.api_version.find('/') + 1);
  const std::string group = crd.api_version.substr(0, crd.api_version.find('/'));
  return std::any_of(crd.names.begin(), crd.names.end(), [&](const std::string& name) {
    return word == name || word == name + "." + group || word == name + "." + version + "." + group;
  });
}

// "a Model, such as model/NAME, or a ModelRollout, such as modelrollout/NAME".
std::string examples(const std::vector<Kind>& kinds) {
  std::string all;
  for (const Kind kind : kinds) {
    const std::string name = info(kind).kind;
    all += (all.empty() ? "a " : ", or a ") + name + ", such as " + lower(name) + "/NAME";
  }
  return all;
}

}  // namespace

bool is_object_name(std::string_view name) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (name.empty() || name.size() > 253) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool edge = i == 0 || i + 1 == name.size() || name[i - 1] == '.' || name[i + 1] == '.';
    if (!alphanumeric(name[i]) && (edge || (name[i] != '-' && name[i] != '.'))) return false;
  }
  return true;
}

Result<Named> named(const std::string& word, const std::vector<Kind>& kinds) {
  const size_t slash = word.find('/');
  Named found{kinds.front(), word};
  if (slash != std::string::npos) {
    const std::string kind = lower(word.substr(0, slash));
    const auto it = std::find_if(kinds.begin(), kinds.end(),
                                 [&](Kind k) { return is_called(*crd_of(info(k).kind), kind); });
    if (it == kinds.end()) return fail(ErrorKind::Invalid, word + " is not possible here: use " + examples(kinds));
    found = {*it, word.substr(slash + 1)};
  }
  if (!is_object_name(found.name))
    return fail(ErrorKind::Invalid, "\"" + found.name + "\" is not a valid name of a " + info(found.kind).kind +
                                        ": it has lower case letters, digits, \"-\" and \".\", and begins and ends "
                                        "with a letter or digit");
  return found;
}

Result<std::string> name_as(Kind kind, const std::string& word) {
  if (word.empty()) return word;
  const auto found = named(word, {kind});
  if (!found) return fail(found.error());
  return found->name;
}

}  // namespace mo::plugin
