// The strokes that pictures are made of, as inline SVG.
#pragma once

#include <optional>
#include <string>

#include "report/html.h"

namespace mo::report::svg {

enum class Size { Shrinks, Fixed, Wide };  // Wide: as wide as its card, and scrolled where that is too narrow to be read
void open(Html& html, double width, double height, const std::string& title, Size size = Size::Shrinks);
void close(Html& html);
void rect(Html& html, double x, double y, double width, double height, const char* css, double radius = 3);
void write(Html& html, double x, double y, const std::string& text, const char* css = "", const char* anchor = "start");
void line(Html& html, double x1, double y1, double x2, double y2, const char* css = "line");
void dot(Html& html, double x, double y, const char* css, double radius = 3);
// The finite number that a text is.
std::optional<double> number_in(const std::string& text);
std::string shortened(const std::string& text, size_t bytes);

}  // namespace mo::report::svg
