#include "plugin/promql.h"

#include <algorithm>
#include <cctype>
#include <set>

namespace mo::plugin::promql {
namespace {

// Words that are followed by something else than a selector's labels, or that stand alone.
const std::set<std::string> kGroupings = {"by", "without", "on", "ignoring", "group_left", "group_right"};
const std::set<std::string> kKeywords = {"and", "or", "unless", "atan2", "offset", "bool", "inf", "nan"};

struct Token {
  enum Kind { Word, Text, Number, Sign, End } kind = End;
  std::string text;  // of a Text: what is in the quotes
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool begins_word(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || c == ':'; }
bool in_word(char c) { return begins_word(c) || std::isdigit(static_cast<unsigned char>(c)); }

// "{{model}}" as a word: it may be part of a name.
std::string without_placeholders(std::string_view query) {
  std::string out;
  for (size_t i = 0; i < query.size();) {
    const size_t end = query.substr(i, 2) == "{{" ? query.find("}}", i) : std::string_view::npos;
    out += end == std::string_view::npos ? std::string(1, query[i]) : "_";
    i = end == std::string_view::npos ? i + 1 : end + 2;
  }
  return out;
}

std::vector<Token> tokens_of(const std::string& query) {
  std::vector<Token> tokens;
  for (size_t i = 0; i < query.size();) {
    const char c = query[i];
    const auto take_while = [&](auto belongs) {
      const size_t begin = i;
      while (i < query.size() && belongs(query[i])) ++i;
      return query.substr(begin, i - begin);
    };
    if (std::isspace(static_cast<unsigned char>(c))) {
      ++i;
    } else if (c == '#') {
      take_while([](char x) { return x != '\n'; });
    } else if (c == '"' || c == '\'' || c == '`') {
      std::string text;
      for (++i; i < query.size() && query[i] != c; ++i) {
        if (query[i] == '\\' && c != '`' && i + 1 < query.size()) ++i;
        text += query[i];
      }
      ++i;
      tokens.push_back({Token::Text, text});
    } else if (std::isdigit(static_cast<unsigned char>(c)) || c == '.') {
      tokens.push_back({Token::Number, take_while([](char x) { return in_word(x) || x == '.'; })});
    } else if (begins_word(c)) {
      tokens.push_back({Token::Word, take_while(in_word)});
    } else {
      tokens.push_back({Token::Sign, std::string(1, c)});
      ++i;
    }
  }
  tokens.emplace_back();
  return tokens;
}

class Reader {
 public:
  explicit Reader(const std::string& query) : tokens_(tokens_of(query)) {}

  Query read() {
    while (now().kind != Token::End) {
      if (now().kind == Token::Word)
        word();
      else if (is("{"))
        out_.selectors.push_back(selector(""));
      else if (is("["))
        skip_to("]");
      else
        ++at_;
    }
    return std::move(out_);
  }

 private:
  const Token& now(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  bool is(std::string_view sign, size_t ahead = 0) const {
    return now(ahead).kind == Token::Sign && now(ahead).text == sign;
  }

  // Past it, or to the end.
  void skip_to(std::string_view sign) {
    while (now().kind != Token::End && !is(sign)) ++at_;
    ++at_;
  }

  void word() {
    const std::string text = now().text, word = lower(text);
    ++at_;
    if (kKeywords.contains(word))
      after_or_ = word == "or";
    else if (kGroupings.contains(word))
      grouping(word);
    else if (word == "vector" && is("("))
      vector();
    else if (is("(") || kGroupings.contains(lower(now().text)))
      return;  // a function, or an aggregation such as sum by (…) (…)
    else
      out_.selectors.push_back(selector(text));
  }

  void grouping(const std::string& word) {
    if (!is("(")) return;
    for (++at_; now().kind != Token::End && !is(")"); ++at_)
      if (word == "on" && now().kind != Token::Sign) out_.joined_on.push_back(now().text);
    ++at_;
  }

  void vector() {
    const bool number = now(1).kind == Token::Number && is(")", 2);
    if (number && after_or_) out_.zero_for_no_data = true;
  }

  // "metric", "metric{a="b"}", "{"metric", a="b"}".
  Selector selector(const std::string& metric) {
    Selector found{metric, {}};
    after_or_ = false;
    if (!is("{")) return found;
    for (++at_; now().kind != Token::End && !is("}"); ++at_) {
      if (now().kind != Token::Word && now().kind != Token::Text) continue;
      if (is("=", 1) || is("!", 1)) {
        found.labels.push_back(now().text);
        while (now(1).kind == Token::Sign && !is("}", 1) && !is(",", 1)) ++at_;
        ++at_;  // the value
      } else if (found.metric.empty()) {
        found.metric = now().text;
      }
    }
    ++at_;
    return found;
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  bool after_or_ = false;  // nothing was selected since
  Query out_;
};

bool is_of_namespace(const std::string& label) { return label == "namespace" || label.ends_with("_namespace"); }

bool matches_namespace(const Selector& selector) {
  return std::any_of(selector.labels.begin(), selector.labels.end(), is_of_namespace);
}

}  // namespace

std::string Selector::to_string() const {
  if (!metric.empty()) return metric;
  std::string all;
  for (const std::string& label : labels) all += (all.empty() ? "" : ", ") + label;
  return "{" + all + "}";
}

Query read(std::string_view query) { return Reader(without_placeholders(query)).read(); }

bool names_namespace(const Query& query, const Selector& selector) {
  if (matches_namespace(selector)) return true;
  return std::any_of(query.joined_on.begin(), query.joined_on.end(), is_of_namespace) &&
         std::any_of(query.selectors.begin(), query.selectors.end(), matches_namespace);
}

}  // namespace mo::plugin::promql
