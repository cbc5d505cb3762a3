// Several installations of the operator in one cluster: which of them handles a Model and its objects. Pure.
//
// spec.operatorClass selects the installations that may; status.operator records the one that does. It is written with the first
// status, before any other write for the Model and with the resourceVersion as precondition. So of two installations one gets a
// conflict, and then reads the other's name.
#pragma once

#include <string>

#include "operator/api/types.h"
#include "operator/core/plan.h"

namespace mo {

struct Installation {
  std::string name = {};            // equal for all replicas of an installation; empty: status.operator is neither written nor checked
  std::string operator_class = {};  // handles only Models of this class
  bool take_over = false;           // also handles Models of another installation of this class
};

enum class Handling {
  Ours,
  OfAnotherClass,
  ToRelease,  // has another class now, but status.operator still has our name
  OfAnother,  // status.operator has the name of another installation
};

Handling handling(const api::Model& model, const Installation& installation);

// Removes our name from status.operator, so that an installation of the Model's class can take over.
Plan release(const api::Model& model);

// The message for a Model that another installation handles.
std::string stays_out(const api::Model& model, const Installation& installation);

}  // namespace mo
