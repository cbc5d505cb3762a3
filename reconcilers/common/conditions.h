// Conditions with kstatus meaning, shared by every kind's status.
#pragma once

#include <string>
#include <vector>

#include "operator/api/types.h"

namespace mo {

// One condition as decided now, before it is compared with what stood there.
struct Verdict {
  bool is = false;
  std::string reason;
  std::string message;
};

class Conditions {
 public:
  Conditions(const std::vector<api::Condition>& before, int64_t generation, TimePoint now)
      : before_(before), generation_(generation), now_(now) {}

  // lastTransitionTime moves only when status does.
  void set(const std::string& type, const Verdict& verdict);
  const std::vector<api::Condition>& get() const { return after_; }

 private:
  const std::vector<api::Condition>& before_;
  int64_t generation_;
  TimePoint now_;
  std::vector<api::Condition> after_;
};

}  // namespace mo
