// Installations of the operator share a cluster: which of them handles a Model and all its kin. Pure.
//
// spec.operatorClass says which installations may; status.operator records which one does. The record is written with the first
// status, before anything else is done for the Model and with its resourceVersion as precondition: of two that come at the same
// time one is refused, and then sees the other's record.
#pragma once

#include <string>

#include "operator/api/types.h"
#include "operator/core/plan.h"

namespace mo {

struct Installation {
  std::string name = {};            // the same for all processes of one installation; empty: no record is written or minded
  std::string operator_class = {};  // handles only Models of this class
  bool take_over = false;           // takes Models over that another installation of this class handles
};

enum class Handling {
  Ours,
  OfAnotherClass,
  ToRelease,  // of another class now, but our name is still on record
  OfAnother,  // another installation's name is on record
};

Handling handling(const api::Model& model, const Installation& installation);

// Takes our name off the record, so that an installation of the Model's class may come.
Plan release(const api::Model& model);

// For people, where another installation handles the Model.
std::string stays_out(const api::Model& model, const Installation& installation);

}  // namespace mo
