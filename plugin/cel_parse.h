// CEL: from text to a tree. For cel*.cpp alone.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "operator/json/json.h"

namespace mo::plugin::cel {

struct Node {
  enum class Op {
    Literal,
    Name,
    List,
    Select,
    Index,
    Call,
    Macro,
    Not,
    Negate,
    Or,
    And,
    Choose,
    Binary
  } op{};
  std::string name;  // of a variable, field, function or operator
  Json literal;
  std::vector<std::unique_ptr<Node>> parts;  // Call: the receiver first, null for a function
};
using Branch = std::unique_ptr<Node>;

// Pure. Throws Wrong (cel_functions.h) for what is no CEL, or a function that is not known here. Names of
// variables are not looked at.
Branch parse(std::string_view text);

}  // namespace mo::plugin::cel
