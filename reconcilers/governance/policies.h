// ModelPolicies: which hold for a Model, what a Model lacks, and what they add to its rollouts. Pure.
//
// Several add up, and the stricter wins: every gate, every approval, the longest bake, the smallest first weight. A policy adds
// to what a Model declares and never takes anything away.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reconcilers/common/conditions.h"
#include "reconcilers/common/observed.h"
#include "reconcilers/rollout/policy.h"

namespace mo::governance {

const char* word(api::RolloutPolicy::Strategy strategy);

// Whether `policy` is for a Model that says this, in this namespace. `ns`: null if nobody knows its labels, and then a policy that asks
// for labels is for it.
bool applies(const api::ModelPolicy& policy, const api::Model& model, const api::Namespace* ns = nullptr);
// The same with a `problem`, where that could not be decided. `denied`: the operator may not look at Namespaces.
Ref<api::ModelPolicy> undecided(const Ref<api::ModelPolicy>& policy, const std::string& ns, bool denied);

// What one policy demands and does not get, each a sentence that names field, value and way out. `version` may be null: then what
// is asked of versions is left out.
std::vector<std::string> objections(const Observed& observed, const api::ModelPolicy& policy,
                                    const Ref<api::ModelVersion>& version);

// What keeps a rollout that has not begun from beginning: InvalidPolicy | PolicyUnsatisfied | Frozen; no reason: nothing. `revision`: the name of
// what it would bring, empty if no pods can be made of it. Going back to what had all traffic before is held up by nothing.
struct Held {
  rollout::Waiting waiting;
  std::optional<TimePoint> until;
};
Held holds(const Observed& observed, const api::ModelRollout& rollout, const std::string& revision, TimePoint now);

// Lays the enforced policies over what a rollout takes its snapshot of, and says what is to be on its record.
void impose(const Observed& observed, rollout::Policy& policy);

// rollout::resolve(), with the policies laid over it.
rollout::Policy resolve(const Observed& observed);

// Condition Compliant of a Model for which some policy is, enforced or not; nothing if none is.
std::optional<Verdict> compliant(const Observed& observed, const api::ModelStatus& status, TimePoint now);

// Condition Compliant is True, and what serves has to be evaluated anew soon: the Event that tells, once. `status`: as it is to be.
std::optional<Event> evaluation_notice(const Observed& observed, const api::ModelStatus& status, TimePoint now);

// When what serves gets older than some policy's maxAge next, by its newest evaluation, or is so soon; nothing if it never does.
std::optional<TimePoint> too_old_next(const Observed& observed, const api::ModelStatus& status, TimePoint now);

}  // namespace mo::governance
