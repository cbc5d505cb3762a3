// The lifecycle stage of a Model, from spec.lifecycle and the time. Pure.
//
// Development, Staging and Production are for people, reports and policies. Deprecated: it keeps serving, and response headers name the
// successor. Retired: nothing serves; only a change of spec.lifecycle makes it serve again.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reconcilers/common/conditions.h"
#include "reconcilers/common/observed.h"
#include "reconcilers/common/part.h"

namespace mo::lifecycle {

struct Decision : Part {
  api::LifecycleStatus status;
  bool retired = false;
  std::optional<Verdict> end_of_life;          // condition EndOfLife; none without spec.lifecycle
  std::map<std::string, std::string> headers;  // that answers bear while the Model is Deprecated
};

Decision decide(const Observed& observed, TimePoint now);

// "Retired": the word that the CRD has for it.
std::string word(api::Lifecycle::Stage stage);

}  // namespace mo::lifecycle
