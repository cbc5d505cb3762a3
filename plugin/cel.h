// The part of CEL (Common Expression Language) that rules in CRDs are written in, so that they hold offline,
// too. What it does not know is an error when it is parsed, never a rule that passes.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "operator/core/result.h"
#include "operator/json/json.h"

namespace mo::plugin::cel {

struct Node;

class Expression {
 public:
  static Result<Expression> parse(std::string_view text);

  // With `self` as the value that the rule stands on. An error is one of evaluation, such as a field that is
  // not there; the API server refuses the object then.
  Result<bool> holds(const Json& self, const Json* old_self = nullptr) const;
  Result<std::string> say(const Json& self) const;
  // It compares with what was there before, so it says nothing of a file alone.
  bool compares_with_old() const { return compares_with_old_; }

 private:
  std::shared_ptr<const Node> root_;
  bool compares_with_old_ = false;
};

}  // namespace mo::plugin::cel
