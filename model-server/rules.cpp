// rules: the first rule whose conditions hold decides; if none does, the default.
#include <algorithm>
#include <compare>

#include "model-server/reader.h"

namespace model_server {
namespace {

enum class Op { Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, In };

struct Condition {
  size_t feature = 0;
  Op op{};
  std::vector<Value> values;  // several only for Op::In
};

struct Rule {
  std::vector<Condition> all;  // each must hold
  std::vector<Condition> any;  // if there are any: one must hold
  Value then;
};

bool holds(Op op, std::partial_ordering order) {
  switch (op) {
    case Op::Equal:
    case Op::In:
      return order == 0;
    case Op::NotEqual:
      return order != 0;
    case Op::Less:
      return order < 0;
    case Op::LessEqual:
      return order <= 0;
    case Op::Greater:
      return order > 0;
    case Op::GreaterEqual:
      return order >= 0;
  }
  return false;
}

std::partial_ordering compare(const Value& a, const Value& b) {
  if (const auto* number = std::get_if<double>(&a)) return *number <=> std::get<double>(b);
  return std::get<std::string>(a) <=> std::get<std::string>(b);
}

class Rules final : public Model {
 public:
  Rules(Shape shape, std::vector<Rule> rules, Value otherwise)
      : Model(std::move(shape)), rules_(std::move(rules)), otherwise_(std::move(otherwise)) {}

  Prediction predict(std::span<const Value> row) const override {
    const auto met = [&](const Condition& condition) { return is_met(condition, row[condition.feature]); };
    for (const Rule& rule : rules_) {
      if (!std::all_of(rule.all.begin(), rule.all.end(), met)) continue;
      if (rule.any.empty() || std::any_of(rule.any.begin(), rule.any.end(), met))
        return {rule.then, std::nullopt};
    }
    return {otherwise_, std::nullopt};
  }

  static std::unique_ptr<Model> load(Reader& reader);

 private:
  bool is_met(const Condition& condition, const Value& value) const {
    if (value.index() != condition.values.front().index())
      throw BadInput("input \"" + features()[condition.feature] + "\" must be a " +
                     (value.index() == 0 ? "text" : "number"));
    return std::any_of(condition.values.begin(), condition.values.end(),
                       [&](const Value& wanted) { return holds(condition.op, compare(value, wanted)); });
  }

  const std::vector<Rule> rules_;
  const Value otherwise_;
};

// Features get their numbers in the order in which the rules name them, unless the model lists them itself.
class Features {
 public:
  explicit Features(const Json* listed) : fixed_(listed != nullptr) {
    if (!listed) return;
    if (!listed->is_array() || listed->empty())
      throw BadModel("features must be a list that is not empty, it is " + shown(*listed));
    names_ = names_of(*listed, "features");
  }
  size_t index(const std::string& name, const std::string& path) {
    const auto found = std::find(names_.begin(), names_.end(), name);
    if (found != names_.end()) return static_cast<size_t>(found - names_.begin());
    if (fixed_) throw BadModel(path + " is \"" + name + "\", which is not one of features");
    names_.push_back(name);
    return names_.size() - 1;
  }
  std::vector<std::string> take() { return std::move(names_); }

 private:
  bool fixed_;
  std::vector<std::string> names_;
};

Op read_op(Reader& reader) {
  const std::string op = reader.text("op");
  constexpr std::pair<const char*, Op> known[] = {
      {"==", Op::Equal},  {"!=", Op::NotEqual},     {"<", Op::Less}, {"<=", Op::LessEqual},
      {">", Op::Greater}, {">=", Op::GreaterEqual}, {"in", Op::In}};
  for (const auto& [text, value] : known)
    if (op == text) return value;
  throw BadModel(reader.path_of("op") + " must be one of == != < <= > >= in, it is \"" + op + "\"");
}

Condition read_condition(const Json& value, const std::string& path, Features& features) {
  Reader reader(value, path);
  Condition condition;
  condition.feature = features.index(reader.text("feature"), reader.path_of("feature"));
  condition.op = read_op(reader);
  if (condition.op == Op::In) {
    for (const Json& entry : reader.list("value"))
      condition.values.push_back(label_of(entry, reader.path_of("value")));
    const auto& values = condition.values;
    if (std::any_of(values.begin(), values.end(),
                    [&](const Value& v) { return v.index() != values.front().index(); }))
      throw BadModel(reader.path_of("value") + " mixes numbers and texts");
  } else {
    condition.values = {reader.label("value")};
  }
  reader.nothing_else();
  return condition;
}

std::vector<Condition> read_conditions(Reader& reader, const std::string& field, Features& features) {
  std::vector<Condition> conditions;
  if (!reader.find(field)) return conditions;
  const Json& list = reader.list(field);
  for (size_t i = 0; i < list.size(); ++i)
    conditions.push_back(
        read_condition(list[i], reader.path_of(field) + "[" + std::to_string(i) + "]", features));
  return conditions;
}

Rule read_rule(const Json& value, const std::string& path, Features& features) {
  Reader reader(value, path);
  Rule rule;
  reader.find("name");  // for people
  rule.all = read_conditions(reader, "if", features);
  rule.any = read_conditions(reader, "any", features);
  if (rule.all.empty() && rule.any.empty())
    throw BadModel(path + " has no conditions: if (all must hold), any (one must hold) or both");
  rule.then = reader.label("then");
  reader.nothing_else();
  return rule;
}

std::unique_ptr<Model> Rules::load(Reader& reader) {
  Features features(reader.find("features"));
  std::vector<Rule> rules;
  const Json& list = reader.list("rules");
  for (size_t i = 0; i < list.size(); ++i)
    rules.push_back(read_rule(list[i], "rules[" + std::to_string(i) + "]", features));
  std::vector<Value> labels{reader.label("default")};
  for (const Rule& rule : rules) labels.push_back(rule.then);
  reader.nothing_else();
  Shape shape;
  shape.kind = "rules";
  shape.label_type = common_type(labels, "default and every then");
  shape.features = features.take();
  shape.is_text.resize(shape.features.size());
  for (const Rule& rule : rules)
    for (const auto* conditions : {&rule.all, &rule.any})
      for (const Condition& condition : *conditions)
        if (condition.values.front().index() == 1) shape.is_text[condition.feature] = true;
  return std::make_unique<Rules>(std::move(shape), std::move(rules), labels.front());
}

}  // namespace

std::unique_ptr<Model> load_rules(Reader& reader) { return Rules::load(reader); }

}  // namespace model_server
