#include "operator/fetch/receiver.h"

namespace mo::fetch {

tl::unexpected<Error> too_large(uint64_t max_bytes) {
  return fail(ErrorKind::Malformed, "it is larger than the " + std::to_string(max_bytes) +
                                        " bytes allowed; if the artifact is right, set artifact.size");
}

Result<void> Receiver::start() {
  size_ = 0;
  hash_ = Sha256();
  return begin();
}

Result<void> Receiver::write(std::string_view bytes) {
  if (bytes.size() > max_bytes_ - size_) return too_large(max_bytes_);
  size_ += bytes.size();
  hash_.add(bytes);
  return take(bytes);
}

}  // namespace mo::fetch
