#include "operator/json/scan.h"

#include <algorithm>
#include <array>

namespace mo::json {
namespace {

constexpr std::string_view kBlank = " \t\r\n";

// Every byte of a first list comes by here several times, so that sets of characters are tables.
struct CharSet {
  std::array<bool, 256> has{};
  constexpr explicit CharSet(std::string_view chars) {
    for (const char c : chars) has[static_cast<unsigned char>(c)] = true;
  }
};
constexpr CharSet kEndsPart("\"\\"), kShapes("\"{}[]");

bool opens(char c) { return c == '{' || c == '['; }
bool closes(char c) { return c == '}' || c == ']'; }

// A place in the text. Functions that return false leave it anywhere.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  void skip_blank() { at_ = std::min(text_.find_first_not_of(kBlank, at_), text_.size()); }
  bool at_end() const { return at_ == text_.size(); }
  bool next_is(char c) const { return !at_end() && text_[at_] == c; }
  bool take(char c) {
    if (!next_is(c)) return false;
    ++at_;
    return true;
  }

  // Over a string; `content` is what its quotes enclose.
  bool take_string(std::string_view& content) {
    if (!take('"')) return false;
    const size_t begin = at_;
    for (skip_to(kEndsPart); !at_end(); skip_to(kEndsPart)) {
      if (text_[at_] == '"') {
        content = text_.substr(begin, at_++ - begin);
        return true;
      }
      at_ = std::min(at_ + 2, text_.size());
    }
    return false;
  }

  // Over any value, brackets counted and not matched by kind.
  bool take_value(std::string_view& value) {
    const size_t begin = at_;
    std::string_view content;
    for (long depth = 0; !at_end();) {
      if (depth > 0) skip_to(kShapes);
      if (at_end()) break;
      const char c = text_[at_];
      if (c == '"') {
        if (!take_string(content)) return false;
        if (depth == 0) break;
        continue;
      }
      if (depth == 0 && (closes(c) || c == ',' || c == ':' || kBlank.find(c) != std::string_view::npos))
        break;
      ++at_;
      if (opens(c)) ++depth;
      if (closes(c) && --depth == 0) break;
    }
    value = text_.substr(begin, at_ - begin);
    return !value.empty() && (!opens(value[0]) || (value.size() > 1 && closes(value.back())));
  }

 private:
  void skip_to(const CharSet& set) {
    while (at_ < text_.size() && !set.has[static_cast<unsigned char>(text_[at_])]) ++at_;
  }

  std::string_view text_;
  size_t at_ = 0;
};

// What arrays and objects share: blanks, commas, the end. `element` reads one and says whether it could; It
// may set `more` false to end the walk early.
template <class Element>
bool walk(std::string_view text, char open, char close, const Element& element) {
  Cursor cursor(text);
  cursor.skip_blank();
  if (!cursor.take(open)) return false;
  cursor.skip_blank();
  bool more = true;
  if (!cursor.take(close)) {
    do {
      cursor.skip_blank();
      if (!element(cursor, more)) return false;
      if (!more) return true;
      cursor.skip_blank();
    } while (cursor.take(','));
    if (!cursor.take(close)) return false;
  }
  cursor.skip_blank();
  return cursor.at_end();
}

}  // namespace

int depth_of(std::string_view text) {
  long depth = 0, deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (opens(c)) {
      deepest = std::max(deepest, ++depth);
    } else if (closes(c)) {
      --depth;
    }
  }
  return static_cast<int>(std::min<long>(deepest, 1 << 30));
}

bool each_member(std::string_view text,
                 const std::function<bool(std::string_view, std::string_view)>& visit) {
  return walk(text, '{', '}', [&](Cursor& cursor, bool& more) {
    std::string_view key, value;
    if (!cursor.take_string(key)) return false;
    cursor.skip_blank();
    if (!cursor.take(':')) return false;
    cursor.skip_blank();
    if (!cursor.take_value(value)) return false;
    more = visit(key, value);
    return true;
  });
}

bool each_item(std::string_view text, const std::function<bool(std::string_view)>& visit) {
  return walk(text, '[', ']', [&](Cursor& cursor, bool& more) {
    std::string_view value;
    if (!cursor.take_value(value)) return false;
    more = visit(value);
    return true;
  });
}

}  // namespace mo::json
