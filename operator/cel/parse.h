// CEL: from text to a tree. For this module alone.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "operator/cel/functions.h"
#include "operator/json/json.h"

namespace mo::cel {

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
  size_t at = 0;  // where it begins in the text
  std::string name;  // of a variable, field, function or operator
  Json literal;
  std::vector<std::unique_ptr<Node>> parts;  // Call: the receiver first
  const Function* function = nullptr;        // of a Call but has()
};
using Branch = std::unique_ptr<Node>;

// Pure. Throws Wrong for what is no CEL, a function that is not known, or what is nested more than kMostDepth deep. Names of variables are not
// looked at.
inline constexpr int kMostDepth = 64;
Branch parse(std::string_view text, const Functions& functions);

}  // namespace mo::cel
