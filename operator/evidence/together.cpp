#include "operator/evidence/together.h"

namespace mo::evidence {
namespace {

// Behind the text that begins there, or npos if it does not end.
size_t behind_text(std::string_view promql, size_t at) {
  const char quote = promql[at];
  for (++at; at < promql.size(); ++at) {
    if (promql[at] == quote) return at + 1;
    if (quote == '`') continue;
    if (promql[at] == '\n') break;
    if (promql[at] == '\\') ++at;
  }
  return std::string_view::npos;
}

}  // namespace

bool stands_in_brackets(std::string_view promql) {
  std::string open;
  for (size_t at = 0; at < promql.size();) {
    const char c = promql[at];
    if (c == '"' || c == '\'' || c == '`') {
      at = behind_text(promql, at);
      if (at == std::string_view::npos) return false;
      continue;
    }
    ++at;
    if (c == '#') {
      at = promql.find('\n', at);
      if (at == std::string_view::npos) break;  // a line break of ours ends it
    } else if (c == '(') {
      open += ')';
    } else if (c == '[') {
      open += ']';
    } else if (c == '{') {
      open += '}';
    } else if (c == ')' || c == ']' || c == '}') {
      if (open.empty() || open.back() != c) return false;
      open.pop_back();
    } else if (static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\t') {
      return false;
    }
  }
  return open.empty();
}

std::string together(const std::vector<std::string>& queries) {
  std::string all;
  for (size_t place = 0; place < queries.size(); ++place) {
    all += place == 0 ? "label_replace((" : "\nor label_replace((";
    all += queries[place];
    all += "\n), \"";
    all += kPlaceLabel;
    all += "\", \"" + std::to_string(place) + "\", \"\", \"\")";
  }
  return all;
}

}  // namespace mo::evidence
