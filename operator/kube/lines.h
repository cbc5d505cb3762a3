// Cuts a stream of bytes into lines. Watch events are JSON values that end in '\n', wherever chunks and
// packets may end; no byte of a multi-byte UTF-8 character is '\n', so cutting bytes is safe and decoding
// waits for whole lines.
#pragma once

#include <string>
#include <string_view>

#include "operator/kube/transport.h"

namespace mo::kube {

// Not thread-safe. Keeps a reference to `sink`.
class LineSplitter {
 public:
  enum class Fed { More, SinkEnded, TooLong };

  explicit LineSplitter(const LineSink& sink, size_t max_line = max_line_bytes)
      : sink_(sink), max_line_(max_line) {}

  // Hands complete lines to the sink; keeps the rest. After anything but More it must not be fed again.
  Fed feed(std::string_view bytes) {
    while (!bytes.empty()) {
      const size_t end = bytes.find('\n');
      const size_t take = end == std::string_view::npos ? bytes.size() : end;
      if (rest_.size() + take > max_line_) return Fed::TooLong;
      if (end == std::string_view::npos) {
        rest_.append(bytes);
        return Fed::More;
      }
      if (!hand_over(bytes.substr(0, end))) return Fed::SinkEnded;
      bytes.remove_prefix(end + 1);
    }
    return Fed::More;
  }

  // Whether the bytes so far end in the middle of a line.
  bool inside_line() const { return !rest_.empty(); }

 private:
  bool hand_over(std::string_view tail) {
    if (rest_.empty()) return sink_(tail);
    rest_.append(tail);
    const bool more = sink_(rest_);
    rest_.clear();
    if (rest_.capacity() > (1u << 20))
      rest_.shrink_to_fit();  // one huge object must not stay with each watch
    return more;
  }

  const LineSink& sink_;
  const size_t max_line_;
  std::string rest_;
};

}  // namespace mo::kube
