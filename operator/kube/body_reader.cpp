#include "operator/kube/body_reader.h"

namespace mo::kube {

BodyReader::BodyReader(const HttpRequest& request, const LineSink* lines, const ChunkSink* chunks)
    : request_(request), chunks_(chunks) {
  if (lines) splitter_.emplace(*lines);
}

Result<bool> BodyReader::take(int status, std::string_view bytes) {
  taken_ += bytes.size();
  const bool hands_over = splitter_ || chunks_;
  if (hands_over && status / 100 == 2) return hand_over(bytes);
  const size_t most = hands_over ? max_error_body_bytes : request_.max_body;
  if (body_.size() + bytes.size() > most) {
    if (!hands_over) return too_long();
    body_.append(bytes.substr(0, most - body_.size()));
    return false;  // enough of an error text
  }
  body_.append(bytes);
  return true;
}

Result<bool> BodyReader::hand_over(std::string_view bytes) {
  if (!splitter_) {
    if (taken_ > request_.max_body) return too_long();
    return (*chunks_)(bytes);
  }
  switch (splitter_->feed(bytes)) {
    case LineSplitter::Fed::More:
      return true;
    case LineSplitter::Fed::SinkEnded:
      return false;
    case LineSplitter::Fed::TooLong:
      break;
  }
  return fail(ErrorKind::Malformed, "body: a line is longer than 16 MiB");
}

Result<bool> BodyReader::too_long() const {
  return fail(ErrorKind::Malformed, "body: longer than " + std::to_string(request_.max_body) + " bytes");
}

Result<void> BodyReader::end(int status) const {
  if (status / 100 == 2 && splitter_ && splitter_->inside_line())
    return fail(ErrorKind::Transport, "body: the stream ended in the middle of a line");
  return {};
}

}  // namespace mo::kube
