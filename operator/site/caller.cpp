#include "operator/site/caller.h"

#include <algorithm>
#include <cctype>

#include "operator/core/text.h"
#include "operator/json/json.h"

namespace mo::site {
namespace {

constexpr size_t kLongestToken = 4096, kLongestName = 256, kGroups = 256;
// Kubernetes' own names: nobody else gives them.
constexpr std::string_view kOfKubernetes = "system:", kEverybody = "system:authenticated";

bool alike(std::string_view one, std::string_view other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::vector<std::string_view> values(const serve::Request& request, const std::string& name) {
  std::vector<std::string_view> all;
  for (const auto& [header, value] : request.headers)
    if (alike(header, name)) all.push_back(trimmed(value));
  return all;
}

// A name that Kubernetes can be asked about.
bool is_name(std::string_view text) {
  if (text.empty() || text.size() > kLongestName) return false;
  for (size_t i = 0; i < text.size();) {
    const size_t length = character_length(text.substr(i));
    const auto c = static_cast<unsigned char>(text[i]);
    if (length == 0 || c < 0x20 || c == 0x7f) return false;
    i += length;
  }
  return true;
}

Caller nobody(int status, std::string problem) {
  Caller caller;
  caller.status = status;
  caller.problem = std::move(problem);
  return caller;
}

// Why headers of this connection count for nothing; empty: they are a declared proxy's.
std::string distrust(const serve::Certified& certificate, const ProxyRules& rules) {
  if (rules.names.empty()) return "no proxy is declared by --proxy-client-ca and --proxy-name";
  if (!certificate.shown) return "this connection has no client certificate";
  if (!certificate.problem.empty()) return "the client certificate of this connection is not valid: " + certificate.problem;
  for (const std::string& name : certificate.names)
    if (std::find(rules.names.begin(), rules.names.end(), name) != rules.names.end()) return "";
  return "the client certificate of this connection bears no name that --proxy-name declares";
}

Caller named(std::string_view user, const std::vector<std::string_view>& group_headers, const ProxyRules& rules) {
  const std::string name = rules.user_prefix + std::string(user);
  if (!is_name(name)) return nobody(400, rules.user_header + " is no name of up to 256 bytes of UTF-8");
  if (name.starts_with(kOfKubernetes))
    return nobody(403, "names that begin with system: are Kubernetes' own, and no proxy gives them; send a bearer token");
  Json groups = Json::array();
  for (std::string_view rest : group_headers) {
    while (!rest.empty()) {
      const size_t end = std::min(rest.find(rules.separator), rest.size());
      const std::string_view one = trimmed(rest.substr(0, end));
      rest.remove_prefix(std::min(end + rules.separator.size(), rest.size()));
      if (one.empty()) continue;
      std::string group = rules.groups_prefix + std::string(one);
      if (!is_name(group)) return nobody(400, rules.groups_header + " has a group that is no name of up to 256 bytes of UTF-8");
      if (group.starts_with(kOfKubernetes)) continue;
      if (groups.size() == kGroups) return nobody(400, rules.groups_header + " has more than 256 groups; let the proxy pass on those that have rights here");
      groups.push_back(std::move(group));
    }
  }
  groups.push_back(kEverybody);
  Caller caller;
  caller.named = kube::Identity{true, name, Json{{"username", name}, {"groups", std::move(groups)}}.dump()};
  caller.key = "named " + caller.named->user;
  return caller;
}

bool is_header_name(const std::string& text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_'; });
}

}  // namespace

Result<void> check(const ProxyRules& rules) {
  for (const auto& [option, header] : {std::pair("--proxy-user-header", &rules.user_header), {"--proxy-groups-header", &rules.groups_header}})
    if (!is_header_name(*header)) return fail(ErrorKind::Invalid, std::string(option) + " \"" + *header + "\" is not a valid name of a header, such as X-Forwarded-User");
  if (rules.separator.empty()) return fail(ErrorKind::Invalid, "--proxy-groups-separator must not be empty; it is \",\" by default");
  for (const auto& [option, prefix] : {std::pair("--proxy-user-prefix", &rules.user_prefix), {"--proxy-groups-prefix", &rules.groups_prefix}})
    if (!prefix->empty() && (!is_name(*prefix) || prefix->starts_with(kOfKubernetes) || kOfKubernetes.starts_with(*prefix)))
      return fail(ErrorKind::Invalid, std::string(option) + " \"" + *prefix + "\" cannot be used: names that begin with system: are Kubernetes' own");
  return {};
}

std::string token_of(std::string_view authorization) {
  constexpr std::string_view scheme = "bearer ";
  if (authorization.size() <= scheme.size() || authorization.size() > kLongestToken) return "";
  if (!alike(authorization.substr(0, scheme.size()), scheme)) return "";
  return std::string(authorization.substr(scheme.size()));
}

Caller with_token(const std::string& token) {
  Caller caller;
  caller.token = token;
  caller.key = "token " + token;
  return caller;
}

Caller caller_of(const serve::Request& request, const ProxyRules& rules) {
  const auto users = values(request, rules.user_header);
  const bool names_somebody = !users.empty() && !users.front().empty();
  const std::string why_not = distrust(request.certificate, rules);
  // Also if one of them is empty: a proxy that adds its own to that of a browser would let browsers say who they are.
  if (why_not.empty() && users.size() > 1)
    return nobody(400, rules.user_header + " is given " + std::to_string(users.size()) + " times; the proxy must replace what callers send");
  if (why_not.empty() && names_somebody) return named(users.front(), values(request, rules.groups_header), rules);
  if (const std::string token = token_of(request.authorization); !token.empty()) return with_token(token);
  if (names_somebody) return nobody(401, rules.user_header + " counts for nothing here: " + why_not + "; send a bearer token of this cluster: Authorization: Bearer …");
  if (why_not.empty()) return nobody(401, "the proxy names nobody in " + rules.user_header + "; it must sign people in first");
  return nobody(401, "send a bearer token of this cluster: Authorization: Bearer …");
}

}  // namespace mo::site
