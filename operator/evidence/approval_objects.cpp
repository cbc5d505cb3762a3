#include "operator/evidence/approval_objects.h"

#include <algorithm>

#include "operator/evidence/bounded_json.h"
#include "operator/yaml/yaml.h"

namespace mo::evidence {
namespace {

using Json = nlohmann::json;

// The spec of the policy of that name, as it is shipped.
Json shipped(const std::string& name) {
  for (const std::string_view text : kApprovalPolicies)
    if (const auto documents = yaml::read(std::string(text)))
      for (const auto& document : *documents) {
        const Json object = parse_bounded(document.value.dump());
        if (text_of(object, "kind") == "ValidatingAdmissionPolicy" && text_of(member_of(object, "metadata"), "name") == name)
          return member_of(object, "spec");
      }
  return nullptr;
}

// A policy or binding that says this is for some objects only.
bool narrowed(const Json& match) {
  for (const char* part : {"namespaceSelector", "objectSelector", "excludeResourceRules"}) {
    const Json found = member_of(match, part);
    if (!found.is_null() && !found.empty()) return true;
  }
  return false;
}

// What the API server writes into each rule by itself.
Json without_defaults(Json rules) {
  if (rules.is_array())
    for (Json& rule : rules)
      if (rule.is_object() && text_of(rule, "scope") == "*") rule.erase("scope");
  return rules;
}

std::vector<std::string> expressions(const Json& validations) {
  std::vector<std::string> all;
  if (validations.is_array())
    for (const Json& one : validations) all.push_back(text_of(one, "expression"));
  return all;
}

// Which part of the policy is not as it was shipped; empty: none.
std::string changed_part(const Json& rules, const Json& as_shipped) {
  const auto empty_or = [](const Json& found) { return found.is_null() ? Json::array() : found; };
  for (const char* part : {"matchConditions", "variables"})
    if (empty_or(member_of(rules, part)) != empty_or(member_of(as_shipped, part))) return part;
  if (without_defaults(member_of(member_of(rules, "matchConstraints"), "resourceRules")) !=
      member_of(member_of(as_shipped, "matchConstraints"), "resourceRules"))
    return "matchConstraints.resourceRules";
  const std::vector<std::string> there = expressions(member_of(rules, "validations"));
  for (const std::string& demanded : expressions(member_of(as_shipped, "validations")))
    if (std::find(there.begin(), there.end(), demanded) == there.end()) return "validations, which does not contain " + demanded.substr(0, 120);
  return "";
}

std::string unread(const std::string& what, const Error& error) {
  if (error.kind == ErrorKind::NotFound) return what + " does not exist: apply manifests/admission";
  if (error.kind == ErrorKind::Forbidden)
    return "the operator may not read " + what + ": apply the operator's role from manifests/rbac of the same version";
  return what + " cannot be read: " + error.message;
}

}  // namespace

std::string unguarded(const std::string& name, const Result<std::string>& policy, const Result<std::string>& binding) {
  const std::string what = "ValidatingAdmissionPolicy " + name, bound = "ValidatingAdmissionPolicyBinding " + name;
  const std::string way_out = "; apply manifests/admission as it is";
  if (!policy) return unread(what, policy.error());
  if (!binding) return unread(bound, binding.error());
  const Json rules = member_of(parse_bounded(*policy), "spec"), binds = member_of(parse_bounded(*binding), "spec");
  if (text_of(rules, "failurePolicy") != "Fail")
    return what + " has failurePolicy " + text_of(rules, "failurePolicy") + ", not Fail" + way_out;
  if (narrowed(member_of(rules, "matchConstraints"))) return what + " applies to some objects only" + way_out;
  if (const std::string part = changed_part(rules, shipped(name)); !part.empty())
    return what + " differs from the one of this operator version: spec." + part + way_out;
  const Json actions = member_of(binds, "validationActions");
  if (text_of(binds, "policyName") != name || !actions.is_array() ||
      std::find(actions.begin(), actions.end(), "Deny") == actions.end())
    return bound + " does not set validationActions to Deny for that policy" + way_out;
  const Json match = member_of(binds, "matchResources");
  if (narrowed(match) || !member_of(match, "resourceRules").empty()) return bound + " applies to some objects only" + way_out;
  return "";
}

Result<Listed> uids_of(std::string_view list) {
  const Json found = parse_bounded(list);
  const Json items = member_of(found, "items");
  if (!items.is_array()) return fail(ErrorKind::Malformed, "the list of ModelApprovals cannot be read");
  Listed out;
  for (const Json& item : items) {
    const Json metadata = member_of(item, "metadata");
    const std::string uid = text_of(metadata, "uid");
    if (!uid.empty() && text_of(metadata, "deletionTimestamp").empty()) out.uids.push_back(uid);
  }
  out.next = text_of(member_of(found, "metadata"), "continue");
  return out;
}

}  // namespace mo::evidence
