#include <catch2/catch.hpp>
#include <functional>

#include "operator/evidence/approval_words.h"
#include "operator/json/json.h"

using namespace mo;
using namespace mo::evidence;

namespace {

Json policy() {
  return Json::parse(R"json({"spec": {"failurePolicy": "Fail", "matchConstraints": {"namespaceSelector": {}, "objectSelector": {}, "resourceRules": [{}]},
    "validations": [{"expression": "object.spec.approver == request.userInfo.username"},
                    {"expression": "authorizer.group('modelops.dev').resource('modelapprovals').namespace(request.namespace)\n.name(object.spec.role).check('approve').allowed()"}]
}
})json");
}
Json binding() { return {{"spec", {{"policyName", kApprovalsPolicy}, {"validationActions", {"Deny"}}}}}; }

std::string judged(const Json& policy, const Json& binding) { return unguarded(kApprovalsPolicy, policy.dump(), binding.dump()); }

}  // namespace

TEST_CASE("approvals are guarded by the policy as it stands in the manifests, and by nothing less", "[approvals]") {
  CHECK(judged(policy(), binding()) == "");
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
       "for some objects only"},
      {"but for some",
       [](Json& p, Json&) {
         p["spec"]["matchConstraints"]["excludeResourceRules"] = {{{"a", "b"}}};
       },
       "for some objects only"},
      {"anybody's name", [](Json& p, Json&) { p["spec"]["validations"].erase(0); }, "lacks the rule object.spec.approver"},
      {"no right", [](Json& p, Json&) { p["spec"]["validations"].erase(1); }, "lacks the rule authorizer"},
      {"warns", [](Json&, Json& b) { b["spec"]["validationActions"] = {"Warn"}; }, "does not deny"},
      {"another policy's", [](Json&, Json& b) { b["spec"]["policyName"] = "p"; }, "does not deny by that policy"},
      {"bound for some",
       [](Json&, Json& b) {
         b["spec"]["matchResources"] = {{"namespaceSelector", {{"matchLabels", {{"a", "b"}}}}}};
       },
       "is for some objects only"},
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
