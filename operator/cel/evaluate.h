// CEL: from a tree and what its variables mean to a value. For this module alone. Pure; throws Wrong (functions.h) for what the API server calls
// an error of evaluation, and for an evaluation that costs too much.
#pragma once

#include <cstddef>
#include <string_view>

#include "operator/cel/functions.h"
#include "operator/cel/parse.h"

namespace mo::cel {

// A variable, and those that were there before it. It owns none of them.
struct Scope {
  std::string_view name;
  const Value& value;
  const Scope* outer;
};

class Evaluation {
 public:
  explicit Evaluation(size_t most_steps) : left_(most_steps) {}

  // What comes back may point into what the scope's values point to.
  Value evaluate(const Node& node, const Scope* scope);
  // Of what has to be true or false.
  bool truth(const Node& node, const Scope* scope);

 private:
  Value compute(const Node& node, const Scope* scope);
  Value variable(const Node& node, const Scope* scope);
  Value select(const Value& from, const std::string& name);
  Value index(const Value& from, const Json& at);
  bool has(const Node& selection, const Scope* scope);
  bool logical(const Node& node, const Scope* scope, bool decisive);
  Value call(const Node& node, const Scope* scope);
  Json macro(const Node& node, const Scope* scope);
  Json binary(const Node& node, const Scope* scope);
  bool is_in(const Json& value, const Json& range);
  bool equal(const Value& a, const Value& b);
  Json arithmetic(const std::string& sign, const Json& a, const Json& b);
  // As spend(), of as much as there is of it.
  const Json& weighed(const Json& value);
  void weigh(const Json& value);
  void spend(size_t steps);

  size_t left_;
};

}  // namespace mo::cel
