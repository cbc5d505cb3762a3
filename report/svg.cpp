#include "report/svg.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "operator/core/text.h"

namespace mo::report::svg {

std::string shortened(const std::string& text, size_t bytes) { return text.size() <= bytes ? text : whole_characters(text, bytes) + "…"; }

std::optional<double> number_in(const std::string& text) {
  if (text.empty()) return {};
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return *end == 0 && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

void open(Html& html, double width, double height, const std::string& title, Size size) {
  html << "<div";
  html.attribute("class", size == Size::Wide ? "plot wide" : "plot");
  if (size == Size::Wide) html << " tabindex=\"0\"";
  html << "><svg role=\"img\" viewBox=\"0 0 ";
  html.number(width) << " ";
  html.number(height) << "\" width=\"";
  html.number(width) << "\"";
  if (size == Size::Fixed) {
    html << " height=\"";
    html.number(height) << "\"";
  }
  html.attribute("aria-label", title) << "><title>";
  html.text(title) << "</title>";
}
void close(Html& html) { html << "</svg></div>"; }

void rect(Html& html, double x, double y, double width, double height, const char* css, double radius) {
  html << "<rect x=\"";
  html.number(x) << "\" y=\"";
  html.number(y) << "\" width=\"";
  html.number(std::max(width, 0.0)) << "\" height=\"";
  html.number(std::max(height, 0.0)) << "\" rx=\"";
  html.number(radius) << "\"";
  html.attribute("class", css) << "/>";
}
void write(Html& html, double x, double y, const std::string& text, const char* css, const char* anchor) {
  html << "<text x=\"";
  html.number(x) << "\" y=\"";
  html.number(y) << "\"";
  html.attribute("class", css).attribute("text-anchor", anchor) << ">";
  html.text(text) << "</text>";
}
void line(Html& html, double x1, double y1, double x2, double y2, const char* css) {
  html << "<line x1=\"";
  html.number(x1) << "\" y1=\"";
  html.number(y1) << "\" x2=\"";
  html.number(x2) << "\" y2=\"";
  html.number(y2) << "\"";
  html.attribute("class", css) << "/>";
}
void dot(Html& html, double x, double y, const char* css, double radius) {
  html << "<circle cx=\"";
  html.number(x) << "\" cy=\"";
  html.number(y) << "\" r=\"";
  html.number(radius) << "\"";
  html.attribute("class", css) << "/>";
}

}  // namespace mo::report::svg
