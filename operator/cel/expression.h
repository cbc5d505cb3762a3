// The part of CEL (Common Expression Language) that the operator and its plugin evaluate: rules in CRDs, offline, and the success and
// failure of training by a kind that the operator doesn't know. What is not known here is an error when it is parsed, never a rule that passes.
//
// Known: fields (a.b, a["b"], a[0]), has(), == != < <= > >=, && || !, in, ?:, + - * / %, lists, texts, numbers, true, false, null, the macros
// exists(), all(), exists_one(), filter() and map(), and the functions of functions.h.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "operator/cel/functions.h"
#include "operator/core/result.h"
#include "operator/json/json.h"

namespace mo::cel {

struct Node;

// What may be written, and what it may cost. The defaults are for expressions of our own files.
struct Language {
  const Functions* functions = &known_functions();
  size_t most_bytes = 64u << 10;     // of an expression
  size_t most_steps = 100'000'000;   // of one evaluation: about one for each value that is looked at or copied
};

// Pure and thread-safe. Errors are ErrorKind::Invalid; their sentences name the place by its character, from 1.
class Expression {
 public:
  static Result<Expression> parse(std::string_view text, const Language& language = {});

  // With `self` as the value that the rule stands on. An error is one of evaluation, such as a field that is
  // not there; the API server refuses the object then.
  Result<bool> holds(const Json& self, const Json* old_self = nullptr) const;
  Result<std::string> say(const Json& self) const;
  // It compares with what was there before, so it says nothing of a file alone.
  bool compares_with_old() const { return compares_with_old_; }

 private:
  std::shared_ptr<const Node> root_;
  bool compares_with_old_ = false;
  size_t most_steps_ = 0;
};

}  // namespace mo::cel
