#include "operator/cel/evaluate.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mo::cel {
namespace {

constexpr size_t kBytesAStep = 16;
constexpr size_t kErrorCosts = 20;  // of one that && or a macro catches

bool ordered(const Value& a, const Value& b) {
  const bool times = a.index() == b.index() && (std::holds_alternative<Duration>(a) || std::holds_alternative<TimePoint>(a));
  if (times) return a < b;
  const Json &x = as_json(a), &y = as_json(b);
  const bool alike = (x.is_number() && y.is_number()) || (x.is_string() && y.is_string());
  if (!alike) throw Wrong("values of different types are compared");
  return x < y;
}

Json whole(const std::string& sign, int64_t x, int64_t y) {
  int64_t out = 0;
  bool overflow = false;
  if (sign == "+")
    overflow = __builtin_add_overflow(x, y, &out);
  else if (sign == "-")
    overflow = __builtin_sub_overflow(x, y, &out);
  else if (sign == "*")
    overflow = __builtin_mul_overflow(x, y, &out);
  else if (y == 0)
    throw Wrong("division by zero");
  else if (y == -1)
    overflow = sign == "/" && __builtin_sub_overflow(int64_t{0}, x, &out);
  else
    out = sign == "/" ? x / y : x % y;
  if (overflow) throw Wrong("out of range of whole numbers");
  return out;
}

}  // namespace

void Evaluation::spend(size_t steps) {
  if (steps > left_) throw Wrong("costs too much to evaluate on this object; ask for less of it");
  left_ -= steps;
}

void Evaluation::weigh(const Json& value) {
  spend(1);
  if (value.is_string()) spend(value.get_ref<const std::string&>().size() / kBytesAStep);
  if (value.is_array() || value.is_object())
    for (const Json& part : value) weigh(part);
}

const Json& Evaluation::weighed(const Json& value) {
  weigh(value);
  return value;
}

// One side decides, in either order, whatever is wrong with the other.
bool Evaluation::logical(const Node& node, const Scope* scope, bool decisive) {
  bool left = false;
  std::optional<Wrong> wrong;
  try {
    left = truth(*node.parts[0], scope);
    if (left == decisive) return decisive;
  } catch (const Wrong& e) {
    spend(kErrorCosts);
    wrong = e;
  }
  const bool right = truth(*node.parts[1], scope);
  if (right == decisive) return decisive;
  if (wrong) throw *wrong;
  return right;
}

Value Evaluation::select(const Value& from, const std::string& name) {
  const Json& object = as_json(from);
  const auto it = object.is_object() ? object.find(name) : object.end();
  if (!object.is_object() || it == object.end()) throw Wrong("no such field: " + name);
  if (std::holds_alternative<const Json*>(from)) return &*it;
  return weighed(*it);
}

bool Evaluation::has(const Node& selection, const Scope* scope) {
  const Value from = evaluate(*selection.parts[0], scope);
  const Json& json = as_json(from);
  return json.is_object() && json.contains(selection.name);
}

Value Evaluation::index(const Value& from, const Json& at) {
  const Json& range = as_json(from);
  if (range.is_object()) return select(from, as_text(at));
  if (!range.is_array() || !at.is_number_integer() || at.get<int64_t>() < 0 || at.get<int64_t>() >= static_cast<int64_t>(range.size()))
    throw Wrong("index out of range");
  const Json& item = range[at.get<size_t>()];
  if (std::holds_alternative<const Json*>(from)) return &item;
  return weighed(item);
}

Json Evaluation::macro(const Node& node, const Scope* scope) {
  const Value of = evaluate(*node.parts[0], scope);
  const Json& range = as_json(of);
  if (!range.is_array() && !range.is_object()) throw Wrong(node.name + "() is for lists and maps");
  Json kept = Json::array();
  int64_t true_ones = 0, all_of_them = 0;
  std::optional<Wrong> wrong;
  for (auto at = range.begin(); at != range.end(); ++at) {
    const Value one = range.is_object() ? Value(Json(at.key())) : Value(&*at);
    const Scope inner{node.parts[1]->name, one, scope};
    if (node.name == "map") {
      if (node.parts.size() == 4 && !truth(*node.parts[2], &inner)) continue;
      const Value made = evaluate(*node.parts.back(), &inner);
      kept.push_back(weighed(as_json(made)));
      continue;
    }
    ++all_of_them;
    bool is = false;
    try {
      is = truth(*node.parts[2], &inner);
    } catch (const Wrong& e) {
      if (node.name == "filter" || node.name == "exists_one") throw;
      spend(kErrorCosts);
      wrong = e;
      continue;
    }
    true_ones += is;
    if (is && node.name == "filter") kept.push_back(weighed(as_json(one)));
    if (is && node.name == "exists") return true;
    if (!is && node.name == "all") return false;
  }
  if (wrong) throw *wrong;
  if (node.name == "all") return true_ones == all_of_them;
  if (node.name == "exists") return false;
  if (node.name == "exists_one") return true_ones == 1;
  return kept;
}

bool Evaluation::equal(const Value& a, const Value& b) {
  const auto is_time = [](const Value& v) { return std::holds_alternative<Duration>(v) || std::holds_alternative<TimePoint>(v); };
  if (is_time(a) || is_time(b)) return a == b;
  return weighed(as_json(a)) == weighed(as_json(b));
}

Json Evaluation::arithmetic(const std::string& sign, const Json& a, const Json& b) {
  if (sign == "+" && a.is_string() && b.is_string()) return as_text(weighed(a)) + as_text(weighed(b));
  if (sign == "+" && a.is_array() && b.is_array()) {
    Json both = weighed(a);
    both.insert(both.end(), b.begin(), b.end());
    weigh(b);
    return both;
  }
  if (a.is_number_integer() && b.is_number_integer()) return whole(sign, a.get<int64_t>(), b.get<int64_t>());
  if (!a.is_number() || !b.is_number() || sign == "%") throw Wrong("no such operation: " + sign);
  const double x = a.get<double>(), y = b.get<double>();
  if (sign == "/" && y == 0) throw Wrong("division by zero");
  return sign == "+" ? x + y : sign == "-" ? x - y : sign == "*" ? x * y : x / y;
}

bool Evaluation::is_in(const Json& value, const Json& range) {
  if (range.is_object()) return range.contains(as_text(value));
  if (!range.is_array()) throw Wrong("in is for lists and maps");
  weigh(range);
  return std::find(range.begin(), range.end(), value) != range.end();
}

Json Evaluation::binary(const Node& node, const Scope* scope) {
  const Value a = evaluate(*node.parts[0], scope), b = evaluate(*node.parts[1], scope);
  const std::string& sign = node.name;
  if (sign == "==") return equal(a, b);
  if (sign == "!=") return !equal(a, b);
  if (sign == "<") return ordered(a, b);
  if (sign == ">") return ordered(b, a);
  // Not the negation of the other: neither holds of what is no number.
  if (sign == "<=") return ordered(a, b) || equal(a, b);
  if (sign == ">=") return ordered(b, a) || equal(a, b);
  return sign == "in" ? Json(is_in(as_json(a), as_json(b))) : arithmetic(sign, as_json(a), as_json(b));
}

Value Evaluation::call(const Node& node, const Scope* scope) {
  if (node.name == "has") return Json(has(*node.parts[0], scope));
  std::vector<Value> values;
  size_t cost = 1;
  for (const Branch& part : node.parts) {
    values.push_back(evaluate(*part, scope));
    // A text may be looked for at every place of another.
    const Json* const* there = std::get_if<const Json*>(&values.back());
    const Json* value = there ? *there : std::get_if<Json>(&values.back());
    if (value && value->is_string()) cost *= 1 + value->get_ref<const std::string&>().size() / kBytesAStep;
    if (value && value->is_structured()) weigh(*value);
  }
  spend(cost);
  return (*node.function)(values);
}

Value Evaluation::variable(const Node& node, const Scope* scope) {
  for (const Scope* s = scope; s; s = s->outer) {
    if (s->name != node.name) continue;
    if (const Json* made = std::get_if<Json>(&s->value)) return made;
    return s->value;
  }
  throw Wrong("no such variable: " + node.name);
}

bool Evaluation::truth(const Node& node, const Scope* scope) {
  const Value v = evaluate(node, scope);
  const Json& json = as_json(v);
  if (!json.is_boolean()) throw Wrong("true or false is wanted", node.at);
  return json.get<bool>();
}

Value Evaluation::evaluate(const Node& node, const Scope* scope) {
  try {
    spend(1);
    return compute(node, scope);
  } catch (Wrong& e) {
    if (e.at == Wrong::kNowhere) e.at = node.at;
    throw;
  }
}

Value Evaluation::compute(const Node& node, const Scope* scope) {
  switch (node.op) {
    case Node::Op::Literal:
      return &node.literal;
    case Node::Op::Name:
      return variable(node, scope);
    case Node::Op::List: {
      Json list = Json::array();
      for (const Branch& part : node.parts) {
        const Value item = evaluate(*part, scope);
        list.push_back(weighed(as_json(item)));
      }
      return list;
    }
    case Node::Op::Select:
      return select(evaluate(*node.parts[0], scope), node.name);
    case Node::Op::Index: {
      const Value at = evaluate(*node.parts[1], scope);
      return index(evaluate(*node.parts[0], scope), as_json(at));
    }
    case Node::Op::Call:
      return call(node, scope);
    case Node::Op::Macro:
      return macro(node, scope);
    case Node::Op::Not:
      return Json(!truth(*node.parts[0], scope));
    case Node::Op::Negate: {
      const Value of = evaluate(*node.parts[0], scope);
      return arithmetic("-", Json(0), as_json(of));
    }
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

}  // namespace mo::cel
