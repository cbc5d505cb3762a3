#include "operator/cel/parse.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <map>
#include <utility>

namespace mo::cel {
namespace {

const char* const kMacros[] = {"all", "exists", "exists_one", "filter", "map"};

class Parser {
 public:
  Parser(std::string_view text, const Functions& functions) : text_(text), functions_(functions) {}

  Branch parse() {
    Branch root = choice();
    if (blank(), at_ < text_.size()) wrong("unexpected: " + ahead());
    return root;
  }

 private:
  // What recurses by the text must not by the text alone.
  struct Deeper {
    explicit Deeper(Parser& parser) : depth(parser.depth_) {
      if (++depth > kMostDepth) parser.wrong("nested more than " + std::to_string(kMostDepth) + " deep");
    }
    ~Deeper() { --depth; }
    int& depth;
  };

  [[noreturn]] void wrong(const std::string& what) const { throw Wrong(what, at_); }
  std::string ahead() const { return std::string(text_.substr(at_, 20)); }

  Branch make(Node::Op op, std::string name = "") const {
    auto node = std::make_unique<Node>();
    node->op = op;
    node->at = at_;
    node->name = std::move(name);
    return node;
  }
  Branch join(Node::Op op, std::string name, Branch a, Branch b) const {
    Branch node = make(op, std::move(name));
    node->at = a->at;
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
    if (!take(token)) wrong("expected " + std::string(token) + " at: " + ahead());
  }

  static bool in_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }
  std::string word() {
    blank();
    const size_t begin = at_;
    while (at_ < text_.size() && in_word(text_[at_])) ++at_;
    if (begin == at_) wrong("expected a name at: " + ahead());
    return std::string(text_.substr(begin, at_ - begin));
  }

  Branch choice() {
    const Deeper deeper(*this);
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
    const Deeper deeper(*this);
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
        const size_t before = at_;
        std::string name = word();
        if (take("(")) {
          node = call(std::move(name), std::move(node), before);
        } else {
          Branch select = make(Node::Op::Select, std::move(name));
          select->at = before;
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

  Branch call(std::string name, Branch receiver, size_t begin) {
    std::vector<Branch> arguments = list_until(")");
    const bool macro =
        receiver && std::find(std::begin(kMacros), std::end(kMacros), name) != std::end(kMacros);
    Branch node = make(macro ? Node::Op::Macro : Node::Op::Call, name);
    node->at = begin;
    if (receiver) node->parts.push_back(std::move(receiver));
    for (Branch& argument : arguments) node->parts.push_back(std::move(argument));
    if (macro) {
      const bool three = name == "map" && node->parts.size() == 4;
      if ((node->parts.size() != 3 && !three) || node->parts[1]->op != Node::Op::Name)
        throw Wrong(name + "() is written wrongly", begin);
    } else if (name == "has") {
      if (node->parts.size() != 1 || node->parts[0]->op != Node::Op::Select)
        throw Wrong("has() is written wrongly", begin);
    } else {
      const auto known = functions_.find({name, node->parts.size()});
      if (known == functions_.end()) throw Wrong("the function " + name + "() is not known here", begin);
      node->function = &known->second;
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
    const size_t begin = at_;
    std::string name = word();
    if (name == "true" || name == "false") return literal(name == "true");
    if (name == "null") return literal(nullptr);
    if (take("(")) return call(std::move(name), nullptr, begin);
    Branch variable = make(Node::Op::Name, std::move(name));
    variable->at = begin;
    return variable;
  }

  Branch literal(Json value) const {
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
      throw Wrong("not a number: " + std::string(text_.substr(begin, at_ - begin)), begin);
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
        wrong("an escape that is not known here: \\" + std::string(1, text_[at_]));
      out += it->second;
    }
    if (at_ >= text_.size()) wrong("a text without end");
    ++at_;
    return out;
  }

  std::string_view text_;
  const Functions& functions_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

Branch parse(std::string_view text, const Functions& functions) { return Parser(text, functions).parse(); }

}  // namespace mo::cel
