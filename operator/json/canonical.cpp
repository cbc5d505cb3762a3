#include "operator/json/canonical.h"

#include <cstddef>
#include <vector>

namespace mo::json {
namespace {

constexpr size_t kMostDigits = 18;  // any number of so many fits 64 bits
constexpr std::string_view kEscapes = "\"\\bfnrt";

bool digit(char c) { return c >= '0' && c <= '9'; }

class Check {
 public:
  Check(std::string_view text, int max_depth) : text_(text), max_depth_(static_cast<size_t>(max_depth)) {}

  bool run() {
    do {
      if (!value()) return false;
      while (!opened_ && !open_.empty() && close()) {
      }
      if (open_.empty()) return at_ == text_.size();
      if (!opened_ && !take(',')) return false;
      if (open_.back().object && !key()) return false;
      opened_ = false;
    } while (true);
  }

 private:
  struct Open {
    bool object;
    std::string_view last;  // key
    bool any = false;
  };

  bool next_is(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool take(char c) { return next_is(c) && ++at_; }
  bool take(std::string_view word) {
    if (text_.compare(at_, word.size(), word) != 0) return false;
    at_ += word.size();
    return true;
  }

  // One that holds something leaves `opened_` true: its first member is next.
  bool value() {
    if (at_ == text_.size()) return false;
    std::string_view content;
    switch (text_[at_]) {
      case '"':
        return string(content, true);
      case '{':
        return open(true, '}');
      case '[':
        return open(false, ']');
      case 't':
        return take("true");
      case 'f':
        return take("false");
      case 'n':
        return take("null");
      default:
        return number();
    }
  }

  bool open(bool object, char end) {
    if (open_.size() == max_depth_) return false;
    ++at_;
    if (take(end)) return true;
    open_.push_back({object, {}, false});
    opened_ = true;
    return true;
  }

  // The innermost, if it ends here.
  bool close() {
    if (!take(open_.back().object ? '}' : ']')) return false;
    open_.pop_back();
    return true;
  }

  bool key() {
    std::string_view name;
    if (!string(name, false) || !take(':')) return false;
    Open& in = open_.back();
    if (in.any && name <= in.last) return false;
    in.last = name;
    return in.any = true;
  }

  bool string(std::string_view& content, bool escapes) {
    if (!take('"')) return false;
    const size_t begin = at_;
    for (; at_ < text_.size(); ++at_) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') {
        content = text_.substr(begin, at_++ - begin);
        return true;
      }
      if (c < 0x20 || c >= 0x7f) return false;
      if (c != '\\') continue;
      // Those that dump() writes, too. Keys are ordered by what they stand for.
      if (!escapes || ++at_ == text_.size() || kEscapes.find(text_[at_]) == std::string_view::npos) return false;
    }
    return false;
  }

  bool number() {
    const bool negative = take('-');
    const size_t begin = at_;
    while (at_ < text_.size() && digit(text_[at_])) ++at_;
    const size_t digits = at_ - begin;
    if (digits == 0 || digits > kMostDigits) return false;
    return text_[begin] != '0' || (digits == 1 && !negative);
  }

  std::string_view text_;
  size_t max_depth_, at_ = 0;
  bool opened_ = false;
  std::vector<Open> open_;
};

}  // namespace

bool is_canonical(std::string_view text, int max_depth) { return max_depth > 0 && Check(text, max_depth).run(); }

}  // namespace mo::json
