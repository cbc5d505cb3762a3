// CEL: from a tree and what its variables mean to a value. For cel*.cpp alone. Pure; throws Wrong
// (cel_functions.h) for what the API server calls an error of evaluation.
#pragma once

#include <string_view>

#include "plugin/cel_functions.h"
#include "plugin/cel_parse.h"

namespace mo::plugin::cel {

// A variable, and those that were there before it. It owns none of them.
struct Scope {
  std::string_view name;
  const Value& value;
  const Scope* outer;
};

Value evaluate(const Node& node, const Scope* scope);

// Of what has to be true or false.
bool truth(const Node& node, const Scope* scope);

}  // namespace mo::plugin::cel
