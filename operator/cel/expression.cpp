#include "operator/cel/expression.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "operator/cel/evaluate.h"
#include "operator/cel/parse.h"

namespace mo::cel {
namespace {

bool mentions(const Node& node, std::string_view name) {
  if (node.op == Node::Op::Name && node.name == name) return true;
  return std::any_of(node.parts.begin(), node.parts.end(),
                     [&](const Branch& part) { return part && mentions(*part, name); });
}

// Each variable is `self` or one that a macro around it binds.
void check_names(const Node& node, std::vector<std::string_view> known) {
  if (node.op == Node::Op::Name && std::find(known.begin(), known.end(), node.name) == known.end())
    throw Wrong("no such variable: " + node.name, node.at);
  if (node.op == Node::Op::Macro) {
    check_names(*node.parts[0], known);
    known.push_back(node.parts[1]->name);
    for (size_t i = 2; i < node.parts.size(); ++i) check_names(*node.parts[i], known);
    return;
  }
  for (const Branch& part : node.parts) check_names(*part, known);
}

auto invalid(const Wrong& wrong) { return fail(ErrorKind::Invalid, wrong.sentence()); }

}  // namespace

Result<Expression> Expression::parse(std::string_view text, const Language& language) {
  if (text.size() > language.most_bytes)
    return fail(ErrorKind::Invalid, "an expression may have at most " + std::to_string(language.most_bytes) + " bytes, and this one has " +
                                        std::to_string(text.size()));
  try {
    Expression out;
    Branch root = cel::parse(text, *language.functions);
    check_names(*root, {"self", "oldSelf"});
    out.compares_with_old_ = mentions(*root, "oldSelf");
    out.most_steps_ = language.most_steps;
    out.root_ = std::move(root);
    return out;
  } catch (const Wrong& e) {
    return fail(ErrorKind::Invalid, e.sentence() + ", in: " + std::string(text));
  }
}

Result<bool> Expression::holds(const Json& self, const Json* old_self) const {
  try {
    const Value value = &self, old = old_self;
    const Scope before{"oldSelf", old, nullptr};
    const Scope scope{"self", value, old_self ? &before : nullptr};
    return Evaluation(most_steps_).truth(*root_, &scope);
  } catch (const Wrong& e) {
    return invalid(e);
  }
}

Result<std::string> Expression::say(const Json& self) const {
  try {
    const Value value = &self;
    const Scope scope{"self", value, nullptr};
    return as_text(Evaluation(most_steps_).evaluate(*root_, &scope));
  } catch (const Wrong& e) {
    return invalid(e);
  }
}

}  // namespace mo::cel
