// Proof that admission confines the account that the operator acts as: without the ValidatingAdmissionPolicy, whoever has the
// operator's token could create Deployments and Jobs in every namespace that its Role or ClusterRole covers.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>

#include "operator/core/result.h"
#include "operator/kube/client.h"

namespace mo {

// The policy's name; its refusals bear it. In manifests/admission.
inline constexpr const char* kConfiningPolicy = "operator-writes.modelops.dev";

enum class Confinement {
  Confined,  // the policy refused it
  Open,      // the API server would have done it
  Unknown,   // refused or failed for another reason
};
// What the answer to the probe means.
Confinement judge_confinement(const Result<std::string>& answer);

// The Deployment, of no owner, that the policy has to refuse.
std::string confinement_probe(const std::string& ns);

// Asks in a dry run until the policy refuses (true). Policies take a moment to come into force: Open counts once it has been so for
// `patience`; then it logs what to do and returns false. Unknown is asked again and logged. False after `stop`, too.
bool wait_until_confined(kube::Client& client, const std::string& ns, std::stop_token stop,
                         std::chrono::milliseconds patience = std::chrono::seconds(30),
                         std::chrono::milliseconds pause = std::chrono::seconds(1));

// Asks once; false, and logged, if nothing confines the account any more. No answer, or another refusal, changes nothing.
bool still_confined(kube::Client& client, const std::string& ns, std::stop_token stop);

}  // namespace mo
