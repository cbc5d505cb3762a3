// What becomes of the bytes of an answer's body: handed over as they come, or kept. For the transports alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "operator/core/result.h"
#include "operator/kube/lines.h"
#include "operator/kube/transport.h"

namespace mo::kube {

// For one call. Not thread-safe. Keeps references to `request` and the sink, of which there is one at most:
// with `lines` it is stream(), with `chunks` download(), with neither send().
class BodyReader {
 public:
  BodyReader(const HttpRequest& request, const LineSink* lines, const ChunkSink* chunks);

  // Whether to go on; an Error ends the call. What a sink throws comes out, too. `bytes` are the next of the
  // answer that has this status.
  Result<bool> take(int status, std::string_view bytes);

  // The answer ended in good order. An Error if it did so in the middle of a line.
  Result<void> end(int status) const;

  // What was kept.
  std::string take_body() { return std::move(body_); }

 private:
  Result<bool> hand_over(std::string_view bytes);
  Result<bool> too_long() const;

  const HttpRequest& request_;
  const ChunkSink* const chunks_;
  std::optional<LineSplitter> splitter_;
  size_t taken_ = 0;
  std::string body_;
};

}  // namespace mo::kube
