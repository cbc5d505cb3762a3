#include <catch2/catch.hpp>
#include <functional>

#include "operator/evidence/approval_objects.h"
#include "operator/json/json.h"
#include "operator/yaml/yaml.h"

using namespace mo;
using namespace mo::evidence;

namespace {

// As the API server stores what is shipped.
Json policy(const std::string& name = kApprovalsPolicy) {
  const auto documents = yaml::read(std::string(kApprovalPolicies.at(0)));
  REQUIRE(documents);
  for (const auto& document : *documents) {
    if (document.value["kind"] != "ValidatingAdmissionPolicy" || document.value["metadata"]["name"] != name) continue;
    Json spec = document.value["spec"];
    spec["matchConstraints"]["matchPolicy"] = "Equivalent";
    for (const char* all : {"namespaceSelector", "objectSelector"}) spec["matchConstraints"][all] = Json::object();
    for (Json& rule : spec["matchConstraints"]["resourceRules"]) rule["scope"] = "*";
    return Json{{"spec", spec}};
  }
  return nullptr;
}
Json binding() { return {{"spec", {{"policyName", kApprovalsPolicy}, {"validationActions", {"Deny"}}}}}; }

std::string judged(const Json& policy, const Json& binding) { return unguarded(kApprovalsPolicy, policy.dump(), binding.dump()); }

}  // namespace

TEST_CASE("approvals are guarded by the policy as it stands in the manifests, and by nothing less", "[approvals]") {
  CHECK(judged(policy(), binding()) == "");
  Json stricter = policy();
  stricter["spec"]["validations"].push_back({{"expression", "false"}});
  CHECK(judged(stricter, binding()) == "");
  for (const char* name : {kAuthorsPolicy, kOriginsPolicy}) {
    const Json bound = {{"spec", {{"policyName", name}, {"validationActions", {"Deny"}}}}};
    CHECK(unguarded(name, policy(name).dump(), bound.dump()) == "");
  }
  struct Row {
    const char* what;
    std::function<void(Json& policy, Json& binding)> edit;
    const char* says;
  };
  const Row rows[] = {
      {"it may be passed over", [](Json& p, Json&) { p["spec"]["failurePolicy"] = "Ignore"; },
       "has failurePolicy Ignore, not Fail"},
      {"other namespaces alone",
       [](Json& p, Json&) {
         p["spec"]["matchConstraints"]["namespaceSelector"] = {{"matchLabels", {{"a", "b"}}}};
       },
       "applies to some objects only"},
      {"but for some",
       [](Json& p, Json&) {
         p["spec"]["matchConstraints"]["excludeResourceRules"] = {{{"a", "b"}}};
       },
       "applies to some objects only"},
      {"anybody's name", [](Json& p, Json&) { p["spec"]["validations"].erase(0); }, "spec.validations, which does not contain object.spec.approver"},
      {"no right", [](Json& p, Json&) { p["spec"]["validations"].erase(1); }, "spec.validations, which does not contain authorizer"},
      {"a word in a string alone", [](Json& p, Json&) { p["spec"]["validations"][0]["expression"] = "true || 'object.spec.approver == request.userInfo.username' == ''"; },
       "spec.validations, which does not contain object.spec.approver"},
      {"on some conditions", [](Json& p, Json&) { p["spec"]["matchConditions"] = {{{"name", "never"}, {"expression", "false"}}}; },
       "spec.matchConditions"},
      {"variables of another meaning", [](Json& p, Json&) { p["spec"]["variables"] = {{{"name", "who"}, {"expression", "''"}}}; },
       "spec.variables"},
      {"other resources", [](Json& p, Json&) { p["spec"]["matchConstraints"]["resourceRules"][0]["operations"] = {"DELETE"}; },
       "spec.matchConstraints.resourceRules"},
      {"warns", [](Json&, Json& b) { b["spec"]["validationActions"] = {"Warn"}; }, "does not set validationActions to Deny"},
      {"another policy's", [](Json&, Json& b) { b["spec"]["policyName"] = "p"; }, "does not set validationActions to Deny"},
      {"bound for some",
       [](Json&, Json& b) {
         b["spec"]["matchResources"] = {{"namespaceSelector", {{"matchLabels", {{"a", "b"}}}}}};
       },
       "applies to some objects only"},
      {"rubbish", [](Json& p, Json& b) { p = 7, b = "x"; }, "has failurePolicy"},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    Json p = policy(), b = binding();
    row.edit(p, b);
    CHECK(judged(p, b).find(row.says) != std::string::npos);
  }
  const Result<std::string> gone = fail(ErrorKind::NotFound, "no such thing"), denied = fail(ErrorKind::Forbidden, "you may not");
  CHECK(unguarded(kApprovalsPolicy, gone, binding().dump()) ==
        "ValidatingAdmissionPolicy model-approvals.modelops.dev does not exist: apply manifests/admission");
  CHECK(unguarded(kApprovalsPolicy, policy().dump(), gone).find("ValidatingAdmissionPolicyBinding") == 0);
  CHECK(unguarded(kApprovalsPolicy, denied, gone).find("the operator may not read") == 0);
}

TEST_CASE("the ModelApprovals that there are, without those on their way out", "[approvals]") {
  const auto listed = uids_of(
      R"({"metadata": {"continue": "c"}, "items": [{"metadata": {"uid": "a"}}, {"metadata": {"uid": "b", "deletionTimestamp": "t"}}, 7]})");
  REQUIRE(listed);
  CHECK(listed->uids == std::vector<std::string>{"a"});
  CHECK(listed->next == "c");
  CHECK_FALSE(uids_of("[]"));
}
