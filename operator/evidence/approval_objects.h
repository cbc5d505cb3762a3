// Whether admission keeps people from forging ModelApprovals, and which of them there are, out of the API server's JSON. Pure
// functions, thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "operator/core/result.h"

namespace mo::evidence {

// The ValidatingAdmissionPolicies of manifests/admission/approvals.yaml that approvals rest on, and the bindings of the same names.
inline constexpr const char* kAdmission = "/apis/admissionregistration.k8s.io/v1/";
inline constexpr const char* kApprovalsPolicy = "model-approvals.modelops.dev";
inline constexpr const char* kAuthorsPolicy = "change-authors.modelops.dev";
inline constexpr const char* kOriginsPolicy = "rollout-origins.modelops.dev";
extern const std::vector<std::string_view> kApprovalPolicies;  // the text of that file

// Why the policy of that name does not guard, a sentence; empty: it does. It must be there as that file has it: failurePolicy, what it
// matches, its conditions and variables; it may have further validations, which let in less. Its binding must deny, for everything.
std::string unguarded(const std::string& name, const Result<std::string>& policy, const Result<std::string>& binding);

// The UIDs of a list, without those that are being deleted, and where its next part begins ("": nowhere). ErrorKind::Malformed.
struct Listed {
  std::vector<std::string> uids;
  std::string next;
};
Result<Listed> uids_of(std::string_view list);

}  // namespace mo::evidence
