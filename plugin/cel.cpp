#include "plugin/cel.h"

#include <date/tz.h>
#include <re2/re2.h>

#include <algorithm>
#include <functional>
#include <map>
#include <stdexcept>
#include <variant>
#include <vector>

#include "operator/core/time.h"

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

namespace {

// Caught where an expression is entered, and by && and ||, which do not mind an error on a side that does not
// matter.
struct Wrong : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using Value = std::variant<Json, Duration, TimePoint>;
using Branch = std::unique_ptr<Node>;

const char* const kMacros[] = {"all", "exists", "exists_one", "filter", "map"};

// ---- functions, by name and number of arguments, the receiver being the first ----

const Json& as_json(const Value& v) {
  const Json* json = std::get_if<Json>(&v);
  if (!json) throw Wrong("no such operation on a time");
  return *json;
}

const std::string& as_text(const Json& v) {
  if (!v.is_string()) throw Wrong("a text is wanted");
  return v.get_ref<const std::string&>();
}
const std::string& as_text(const Value& v) { return as_text(as_json(v)); }

int64_t size_of(const Json& v) {
  if (v.is_array() || v.is_object()) return static_cast<int64_t>(v.size());
  const std::string& text = as_text(v);
  return std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xC0) != 0x80; });
}

bool matches(const std::string& text, const std::string& pattern) {
  static thread_local std::map<std::string, std::unique_ptr<RE2>> known;
  auto& re = known[pattern];
  if (!re) re = std::make_unique<RE2>(pattern, RE2::Quiet);
  if (!re->ok()) throw Wrong("not a regular expression: " + pattern);
  return RE2::PartialMatch(text, *re);
}

double to_double(const Json& v) {
  if (v.is_number()) return v.get<double>();
  const std::string& text = as_text(v);
  size_t read = 0;
  double number = 0;
  try {
    number = std::stod(text, &read);
  } catch (const std::exception&) {
  }
  if (read == 0 || read != text.size()) throw Wrong("not a number: " + text);
  return number;
}

int64_t hours_in(TimePoint t, const std::string& zone) {
  try {
    const auto local = date::make_zoned(zone, t).get_local_time();
    return std::chrono::floor<std::chrono::hours>(local - date::floor<date::days>(local)).count();
  } catch (const std::exception&) {
    throw Wrong("no such time zone: " + zone);
  }
}

bool is_sorted(const Json& list) {
  if (!list.is_array()) throw Wrong("isSorted() is for lists");
  return std::is_sorted(list.begin(), list.end());
}

using Function = std::function<Value(const std::vector<Value>&)>;
const std::map<std::pair<std::string, size_t>, Function>& functions() {
  using V = const std::vector<Value>&;
  static const std::map<std::pair<std::string, size_t>, Function> all = {
      {{"size", 1}, [](V v) { return Json(size_of(as_json(v[0]))); }},
      {{"matches", 2}, [](V v) { return Json(matches(as_text(v[0]), as_text(v[1]))); }},
      {{"startsWith", 2}, [](V v) { return Json(as_text(v[0]).starts_with(as_text(v[1]))); }},
      {{"endsWith", 2}, [](V v) { return Json(as_text(v[0]).ends_with(as_text(v[1]))); }},
      {{"contains", 2}, [](V v) { return Json(as_text(v[0]).find(as_text(v[1])) != std::string::npos); }},
      {{"double", 1}, [](V v) { return Json(to_double(as_json(v[0]))); }},
      {{"int", 1}, [](V v) { return Json(static_cast<int64_t>(to_double(as_json(v[0])))); }},
      {{"string", 1},
       [](V v) { return Json(as_json(v[0]).is_string() ? as_text(v[0]) : as_json(v[0]).dump()); }},
      {{"isSorted", 1}, [](V v) { return Json(is_sorted(as_json(v[0]))); }},
      {{"duration", 1},
       [](V v) -> Value {
         if (const auto d = parse_duration(as_text(v[0]))) return *d;
         throw Wrong("not a duration: " + as_text(v[0]));
       }},
      {{"timestamp", 1},
       [](V v) -> Value {
         if (const auto t = parse_time(as_text(v[0]))) return *t;
         throw Wrong("not a time: " + as_text(v[0]));
       }},
      {{"getHours", 2},
       [](V v) {
         const TimePoint* t = std::get_if<TimePoint>(&v[0]);
         if (!t) throw Wrong("getHours() is for times");
         return Json(hours_in(*t, as_text(v[1])));
       }},
  };
  return all;
}

// ---- parsing ----

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Branch parse() {
    Branch root = choice();
    if (blank(), at_ < text_.size()) throw Wrong("unexpected: " + std::string(text_.substr(at_, 20)));
    return root;
  }

 private:
  static Branch make(Node::Op op, std::string name = "") {
    auto node = std::make_unique<Node>();
    node->op = op;
    node->name = std::move(name);
    return node;
  }
  static Branch join(Node::Op op, std::string name, Branch a, Branch b) {
    Branch node = make(op, std::move(name));
    node->parts.push_back(std::move(a));
    node->parts.push_back(std::move(b));
    return node;
  }

  void blank() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool take(std::string_view token) {
    blank();
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  void expect(std::string_view token) {
    if (!take(token))
      throw Wrong("expected " + std::string(token) + " at: " + std::string(text_.substr(at_, 20)));
  }

  static bool in_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }
  std::string word() {
    blank();
    const size_t begin = at_;
    while (at_ < text_.size() && in_word(text_[at_])) ++at_;
    if (begin == at_) throw Wrong("expected a name at: " + std::string(text_.substr(at_, 20)));
    return std::string(text_.substr(begin, at_ - begin));
  }

  Branch choice() {
    Branch condition = either();
    if (!take("?")) return condition;
    Branch node = make(Node::Op::Choose);
    node->parts.push_back(std::move(condition));
    node->parts.push_back(either());
    expect(":");
    node->parts.push_back(choice());
    return node;
  }

  Branch either() {
    Branch left = both();
    while (take("||")) left = join(Node::Op::Or, "", std::move(left), both());
    return left;
  }
  Branch both() {
    Branch left = relation();
    while (take("&&")) left = join(Node::Op::And, "", std::move(left), relation());
    return left;
  }

  std::string relation_sign() {
    for (const char* sign : {"<=", ">=", "==", "!=", "<", ">"})
      if (take(sign)) return sign;
    blank();
    const std::string_view rest = text_.substr(at_);
    if (!rest.starts_with("in") || rest.size() < 3 || in_word(rest[2])) return "";
    at_ += 2;
    return "in";
  }
  Branch relation() {
    Branch left = sum();
    for (std::string sign; !(sign = relation_sign()).empty();)
      left = join(Node::Op::Binary, sign, std::move(left), sum());
    return left;
  }
  Branch sum() {
    Branch left = product();
    for (;;) {
      if (take("+"))
        left = join(Node::Op::Binary, "+", std::move(left), product());
      else if (take("-"))
        left = join(Node::Op::Binary, "-", std::move(left), product());
      else
        return left;
    }
  }
  Branch product() {
    Branch left = unary();
    for (;;) {
      std::string sign;
      for (const char* one : {"*", "/", "%"})
        if (sign.empty() && take(one)) sign = one;
      if (sign.empty()) return left;
      left = join(Node::Op::Binary, sign, std::move(left), unary());
    }
  }
  Branch unary() {
    blank();
    const bool negates = take("!");
    if (!negates && !take("-")) return member();
    Branch node = make(negates ? Node::Op::Not : Node::Op::Negate);
    node->parts.push_back(unary());
    return node;
  }

  Branch member() {
    Branch node = primary();
    for (;;) {
      if (take(".")) {
        std::string name = word();
        if (take("(")) {
          node = call(std::move(name), std::move(node));
        } else {
          Branch select = make(Node::Op::Select, std::move(name));
          select->parts.push_back(std::move(node));
          node = std::move(select);
        }
      } else if (take("[")) {
        node = join(Node::Op::Index, "", std::move(node), choice());
        expect("]");
      } else {
        return node;
      }
    }
  }

  std::vector<Branch> list_until(std::string_view end) {
    std::vector<Branch> parts;
    if (take(end)) return parts;
    do {
      parts.push_back(choice());
    } while (take(","));
    expect(end);
    return parts;
  }

  Branch call(std::string name, Branch receiver) {
    std::vector<Branch> arguments = list_until(")");
    const bool macro =
        receiver && std::find(std::begin(kMacros), std::end(kMacros), name) != std::end(kMacros);
    Branch node = make(macro ? Node::Op::Macro : Node::Op::Call, name);
    if (receiver) node->parts.push_back(std::move(receiver));
    for (Branch& argument : arguments) node->parts.push_back(std::move(argument));
    if (macro) {
      const bool three = name == "map" && node->parts.size() == 4;
      if ((node->parts.size() != 3 && !three) || node->parts[1]->op != Node::Op::Name)
        throw Wrong(name + "() is written wrongly");
    } else if (name == "has") {
      if (node->parts.size() != 1 || node->parts[0]->op != Node::Op::Select)
        throw Wrong("has() is written wrongly");
    } else if (!functions().count({name, node->parts.size()})) {
      throw Wrong("the function " + name + "() is not known here");
    }
    return node;
  }

  Branch primary() {
    blank();
    if (take("(")) {
      Branch inner = choice();
      expect(")");
      return inner;
    }
    if (take("[")) {
      Branch list = make(Node::Op::List);
      list->parts = list_until("]");
      return list;
    }
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    if (c == '\'' || c == '"') return literal(quoted());
    if (std::isdigit(static_cast<unsigned char>(c))) return literal(numeral());
    std::string name = word();
    if (name == "true" || name == "false") return literal(name == "true");
    if (name == "null") return literal(nullptr);
    if (take("(")) return call(std::move(name), nullptr);
    return make(Node::Op::Name, std::move(name));
  }

  static Branch literal(Json value) {
    Branch node = make(Node::Op::Literal);
    node->literal = std::move(value);
    return node;
  }

  Json numeral() {
    const size_t begin = at_;
    const auto exponent = [&] { return at_ > begin && (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E'); };
    while (at_ < text_.size() && (in_word(text_[at_]) || text_[at_] == '.' ||
                                  ((text_[at_] == '-' || text_[at_] == '+') && exponent())))
      ++at_;
    const auto number = parse_json(text_.substr(begin, at_ - begin), 64);
    if (!number || !number->is_number())
      throw Wrong("not a number: " + std::string(text_.substr(begin, at_ - begin)));
    return *number;
  }

  std::string quoted() {
    const char quote = text_[at_++];
    std::string out;
    for (; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (text_[at_] != '\\') {
        out += text_[at_];
        continue;
      }
      if (++at_ == text_.size()) break;
      static const std::map<char, char> escapes = {{'n', '\n'},  {'t', '\t'}, {'r', '\r'}, {'\\', '\\'},
                                                   {'\'', '\''}, {'"', '"'},  {'`', '`'},  {'?', '?'}};
      const auto it = escapes.find(text_[at_]);
      if (it == escapes.end())
        throw Wrong("an escape that is not known here: \\" + std::string(1, text_[at_]));
      out += it->second;
    }
    if (at_ >= text_.size()) throw Wrong("a text without end");
    ++at_;
    return out;
  }

  std::string_view text_;
  size_t at_ = 0;
};

// ---- evaluation ----

struct Scope {
  std::string_view name;
  const Value& value;
  const Scope* outer;
};

Value evaluate(const Node& node, const Scope* scope);

bool truth(const Node& node, const Scope* scope) {
  const Value v = evaluate(node, scope);
  const Json& json = as_json(v);
  if (!json.is_boolean()) throw Wrong("true or false is wanted");
  return json.get<bool>();
}

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

bool mentions(const Node& node, std::string_view name) {
  if (node.op == Node::Op::Name && node.name == name) return true;
  return std::any_of(node.parts.begin(), node.parts.end(),
                     [&](const Branch& part) { return part && mentions(*part, name); });
}

// Each variable is `self` or one that a macro around it binds.
void check_names(const Node& node, std::vector<std::string_view> known) {
  if (node.op == Node::Op::Name && std::find(known.begin(), known.end(), node.name) == known.end())
    throw Wrong("no such variable: " + node.name);
  if (node.op == Node::Op::Macro) {
    check_names(*node.parts[0], known);
    known.push_back(node.parts[1]->name);
    for (size_t i = 2; i < node.parts.size(); ++i) check_names(*node.parts[i], known);
    return;
  }
  for (const Branch& part : node.parts) check_names(*part, known);
}

}  // namespace

Result<Expression> Expression::parse(std::string_view text) {
  try {
    Expression out;
    Branch root = Parser(text).parse();
    check_names(*root, {"self", "oldSelf"});
    out.compares_with_old_ = mentions(*root, "oldSelf");
    out.root_ = std::move(root);
    return out;
  } catch (const Wrong& e) {
    return fail(ErrorKind::Invalid, std::string(e.what()) + ", in: " + std::string(text));
  }
}

Result<bool> Expression::holds(const Json& self, const Json* old_self) const {
  try {
    const Value value = self, old = old_self ? *old_self : Json();
    const Scope before{"oldSelf", old, nullptr};
    const Scope scope{"self", value, old_self ? &before : nullptr};
    return truth(*root_, &scope);
  } catch (const Wrong& e) {
    return fail(ErrorKind::Invalid, e.what());
  }
}

Result<std::string> Expression::say(const Json& self) const {
  try {
    const Value value = self;
    const Scope scope{"self", value, nullptr};
    return as_text(evaluate(*root_, &scope));
  } catch (const Wrong& e) {
    return fail(ErrorKind::Invalid, e.what());
  }
}

}  // namespace mo::plugin::cel
