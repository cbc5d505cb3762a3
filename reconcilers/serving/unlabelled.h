// Pods of an operator that knew no revisions, beside those of a revision of their version. Pure.
//
// A selector cannot say that a label is absent: where labelled pods of the same version are about, the others are selected by the label
// pod-template-hash, which the cluster gave them, too.
#pragma once

#include <string>

#include "reconcilers/common/observed.h"

namespace mo::serving {

// That label of the pods of `side`. Empty: nothing else is of its version, its pods bear a revision, or it is not known.
std::string template_of_unlabelled(const Observed& observed, const std::string& side, const std::string& candidate);

}  // namespace mo::serving
