#include "plugin/cel_evaluate.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mo::plugin::cel {
namespace {

// One side decides, in either order, whatever is wrong with the other.
bool logical(const Node& node, const Scope* scope, bool decisive) {
  bool left = false;
  std::optional<Wrong> wrong;
  try {
    left = truth(*node.parts[0], scope);
    if (left == decisive) return decisive;
  } catch (const Wrong& e) {
    wrong = e;
  }
  const bool right = truth(*node.parts[1], scope);
  if (right == decisive) return decisive;
  if (wrong) throw *wrong;
  return right;
}

const Json& select(const Json& from, const std::string& name) {
  const auto it = from.is_object() ? from.find(name) : from.end();
  if (!from.is_object() || it == from.end()) throw Wrong("no such field: " + name);
  return *it;
}

bool has(const Node& selection, const Scope* scope) {
  const Value from = evaluate(*selection.parts[0], scope);
  const Json& json = as_json(from);
  return json.is_object() && json.contains(selection.name);
}

Json index(const Json& from, const Json& at) {
  if (from.is_object()) return select(from, as_text(at));
  if (!from.is_array() || !at.is_number_integer() || at.get<int64_t>() < 0 ||
      at.get<int64_t>() >= static_cast<int64_t>(from.size()))
    throw Wrong("index out of range");
  return from[at.get<size_t>()];
}

Json macro(const Node& node, const Scope* scope) {
  const Value of = evaluate(*node.parts[0], scope);
  const Json& range = as_json(of);
  if (!range.is_array() && !range.is_object()) throw Wrong(node.name + "() is for lists and maps");
  Json kept = Json::array();
  int64_t true_ones = 0, all_of_them = 0;
  std::optional<Wrong> wrong;
  for (const auto& [key, item] : range.items()) {
    const Value one = range.is_object() ? Json(key) : item;
    const Scope inner{node.parts[1]->name, one, scope};
    if (node.name == "map") {
      if (node.parts.size() == 4 && !truth(*node.parts[2], &inner)) continue;
      kept.push_back(as_json(evaluate(*node.parts.back(), &inner)));
      continue;
    }
    ++all_of_them;
    bool is = false;
    try {
      is = truth(*node.parts[2], &inner);
    } catch (const Wrong& e) {
      if (node.name == "filter" || node.name == "exists_one") throw;
      wrong = e;
      continue;
    }
    true_ones += is;
    if (is && node.name == "filter") kept.push_back(as_json(one));
    if (is && node.name == "exists") return true;
    if (!is && node.name == "all") return false;
  }
  if (wrong) throw *wrong;
  if (node.name == "all") return true_ones == all_of_them;
  if (node.name == "exists") return false;
  if (node.name == "exists_one") return true_ones == 1;
  return kept;
}

bool ordered(const Value& a, const Value& b) {
  if (a.index() != b.index()) throw Wrong("values of different types are compared");
  if (const Json* x = std::get_if<Json>(&a)) {
    const Json& y = as_json(b);
    const bool alike = (x->is_number() && y.is_number()) || (x->is_string() && y.is_string());
    if (!alike) throw Wrong("values of different types are compared");
    return *x < y;
  }
  return a < b;
}

Json arithmetic(const std::string& sign, const Json& a, const Json& b) {
  if (sign == "+" && a.is_string() && b.is_string()) return as_text(a) + as_text(b);
  if (sign == "+" && a.is_array() && b.is_array()) {
    Json both = a;
    both.insert(both.end(), b.begin(), b.end());
    return both;
  }
  if (a.is_number_integer() && b.is_number_integer()) {
    const auto x = a.get<int64_t>(), y = b.get<int64_t>();
    if ((sign == "/" || sign == "%") && y == 0) throw Wrong("division by zero");
    return sign == "+" ? x + y : sign == "-" ? x - y : sign == "*" ? x * y : sign == "/" ? x / y : x % y;
  }
  if (!a.is_number() || !b.is_number() || sign == "%") throw Wrong("no such operation: " + sign);
  const double x = a.get<double>(), y = b.get<double>();
  return sign == "+" ? x + y : sign == "-" ? x - y : sign == "*" ? x * y : x / y;
}

Json binary(const Node& node, const Scope* scope) {
  const Value a = evaluate(*node.parts[0], scope), b = evaluate(*node.parts[1], scope);
  const std::string& sign = node.name;
  if (sign == "==") return a == b;
  if (sign == "!=") return a != b;
  if (sign == "<") return ordered(a, b);
  if (sign == ">") return ordered(b, a);
  if (sign == "<=") return !ordered(b, a);
  if (sign == ">=") return !ordered(a, b);
  if (sign != "in") return arithmetic(sign, as_json(a), as_json(b));
  const Json& range = as_json(b);
  if (range.is_object()) return range.contains(as_text(a));
  return std::find(range.begin(), range.end(), as_json(a)) != range.end();
}

}  // namespace

bool truth(const Node& node, const Scope* scope) {
  const Value v = evaluate(node, scope);
  const Json& json = as_json(v);
  if (!json.is_boolean()) throw Wrong("true or false is wanted");
  return json.get<bool>();
}

Value evaluate(const Node& node, const Scope* scope) {
  switch (node.op) {
    case Node::Op::Literal:
      return node.literal;
    case Node::Op::Name:
      for (const Scope* s = scope; s; s = s->outer)
        if (s->name == node.name) return s->value;
      throw Wrong("no such variable: " + node.name);
    case Node::Op::List: {
      Json list = Json::array();
      for (const Branch& part : node.parts) list.push_back(as_json(evaluate(*part, scope)));
      return list;
    }
    case Node::Op::Select:
      return select(as_json(evaluate(*node.parts[0], scope)), node.name);
    case Node::Op::Index:
      return index(as_json(evaluate(*node.parts[0], scope)), as_json(evaluate(*node.parts[1], scope)));
    case Node::Op::Call: {
      if (node.name == "has") return Json(has(*node.parts[0], scope));
      std::vector<Value> values;
      for (const Branch& part : node.parts) values.push_back(evaluate(*part, scope));
      return functions().at({node.name, values.size()})(values);
    }
    case Node::Op::Macro:
      return macro(node, scope);
    case Node::Op::Not:
      return Json(!truth(*node.parts[0], scope));
    case Node::Op::Negate:
      return arithmetic("-", Json(0), as_json(evaluate(*node.parts[0], scope)));
    case Node::Op::Or:
      return Json(logical(node, scope, true));
    case Node::Op::And:
      return Json(logical(node, scope, false));
    case Node::Op::Choose:
      return evaluate(*node.parts[truth(*node.parts[0], scope) ? 1 : 2], scope);
    case Node::Op::Binary:
      return binary(node, scope);
  }
  throw Wrong("no such expression");
}

}  // namespace mo::plugin::cel
