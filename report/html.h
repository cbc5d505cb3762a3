// HTML, written so that what others wrote can only ever be text: literals of ours are markup, everything else is escaped.
#pragma once

#include <string>
#include <string_view>

#include "report/table.h"

namespace mo::report {

class Html {
 public:
  // Markup. A char array, so that no text of somebody else's gets here by mistake.
  template <size_t N>
  Html& operator<<(const char (&markup)[N]) {
    out_.append(markup, N - 1);
    return *this;
  }
  Html& text(std::string_view text);
  // ' name="value"'
  template <size_t N>
  Html& attribute(const char (&name)[N], std::string_view value) {
    out_ += ' ';
    out_.append(name, N - 1);
    out_ += "=\"";
    text(value);
    out_ += '"';
    return *this;
  }
  Html& number(double value);  // for SVG: at most two decimals
  Html& append(const Html& other) {
    out_ += other.out_;
    return *this;
  }
  // A text of ours that is no literal, such as the style sheet.
  static Html trusted(const std::string& markup) {
    Html html;
    html.out_ = markup;
    return html;
  }
  const std::string& str() const { return out_; }

 private:
  std::string out_;
};

// Where links lead: pages of their own, or parts of one file.
struct Links {
  bool one_file = false;
  std::string page(const std::string& name) const;  // "portfolio", "delivery", "compliance", "activity"
  std::string model(const std::string& ns, const std::string& name) const;
};
// As a part of a URL, or of an id: letters, digits, "-", "." and "_" as they are, others as %XX (in ids as _XX).
std::string in_url(const std::string& text);
std::string as_id(const std::string& text);

// The words of a tone, for people who do not see colours, are those of the cell itself; tones only repeat them.
void put_table(Html& html, const Table& table, const Links& links, const std::string& more = {});
void put_badge(Html& html, const std::string& text, Tone tone);

const std::string& style_sheet();

}  // namespace mo::report
