// Pods of operator versions without revisions, beside pods of a revision of the same version. Pure.
//
// A Service selector cannot select pods without a label. If labelled pods of the same version exist, the others are selected by the label
// pod-template-hash, which Kubernetes sets.
#pragma once

#include <string>

#include "reconcilers/common/observed.h"

namespace mo::serving {

// That label of the pods of `side`. Empty: nothing else is of its version, its pods bear a revision, or it is not known.
std::string template_of_unlabelled(const Observed& observed, const std::string& side, const std::string& candidate);

}  // namespace mo::serving
