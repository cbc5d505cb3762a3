#include "operator/evidence/approval_words.h"

#include <algorithm>

#include "operator/evidence/bounded_json.h"

namespace mo::evidence {
namespace {

using Json = nlohmann::json;

// What the rules of these policies come down to. Written without blanks, as `squeezed` leaves them.
std::vector<std::string> rules_of(const std::string& name) {
  if (name == kApprovalsPolicy)
    return {"object.spec.approver==request.userInfo.username",
            "authorizer.group('modelops.dev').resource('modelapprovals').namespace(request.namespace).name(object.spec.role)."
            "check('approve').allowed()"};
  return {"variables.who==request.userInfo.username", "variables.who==variables.whoBefore"};
}

std::string squeezed(std::string text) {
  std::erase_if(text, [](unsigned char c) { return c == ' ' || c == '\n' || c == '\t'; });
  return text;
}

// A policy or binding that says this is for some objects only.
bool narrowed(const Json& match) {
  for (const char* part : {"namespaceSelector", "objectSelector", "excludeResourceRules"}) {
    const Json found = member_of(match, part);
    if (!found.is_null() && !found.empty()) return true;
  }
  return false;
}

bool holds(const Json& policy, const std::string& rule) {
  const Json validations = member_of(policy, "validations");
  return validations.is_array() && std::any_of(validations.begin(), validations.end(), [&](const Json& one) {
           return squeezed(text_of(one, "expression")).find(rule) != std::string::npos;
         });
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
  if (narrowed(member_of(rules, "matchConstraints"))) return what + " is for some objects only" + way_out;
  for (const std::string& rule : rules_of(name))
    if (!holds(rules, rule)) return what + " lacks the rule " + rule + way_out;
  const Json actions = member_of(binds, "validationActions");
  if (text_of(binds, "policyName") != name || !actions.is_array() ||
      std::find(actions.begin(), actions.end(), "Deny") == actions.end())
    return bound + " does not deny by that policy" + way_out;
  const Json match = member_of(binds, "matchResources");
  if (narrowed(match) || !member_of(match, "resourceRules").empty()) return bound + " is for some objects only" + way_out;
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
